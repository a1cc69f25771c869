package dev.prestage.control.vm.libvirt;

import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.vm.GuestWatch;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import org.jspecify.annotations.Nullable;

/// Makes connections that hear events, and runs the event loop that these need. A process may have
/// one: libvirt has one event loop for all connections.
public final class LibvirtConnector implements GuestWatch.Connector {
  private static final System.Logger LOG = System.getLogger(LibvirtConnector.class.getName());

  /// The loop looks that often whether it should end.
  private static final int LOOK_MILLIS = 250;

  /// A daemon that does not answer for 15 s is taken as gone: three questions, five seconds apart.
  private static final int KEEP_ALIVE_SECONDS = 5;

  private static final int KEEP_ALIVE_TIMES = 3;

  private final String uri;
  private @Nullable Library library;
  private volatile boolean closing;

  /// @param uri such as `qemu:///system`
  public LibvirtConnector(String uri) {
    this.uri = uri;
  }

  @Override
  public String name() {
    return "libvirt";
  }

  @Override
  public Hypervisor connect() throws HypervisorException {
    Library loaded = library;
    if (loaded == null) {
      loaded = withEvents();
      library = loaded;
    }
    LibvirtHypervisor hypervisor = LibvirtHypervisor.open(loaded, uri);
    hypervisor.keepAlive(KEEP_ALIVE_SECONDS, KEEP_ALIVE_TIMES);
    return hypervisor;
  }

  private Library withEvents() throws HypervisorException {
    Library loaded = Library.load();
    loaded.checked("virEventRegisterDefaultImpl");
    loaded.wakeEvery(LOOK_MILLIS);
    Thread.ofPlatform().name("libvirt-events").daemon().start(() -> dispatchEvents(loaded));
    return loaded;
  }

  private void dispatchEvents(Library loaded) {
    while (!closing) {
      if (loaded.number("virEventRunDefaultImpl") < 0) {
        LOG.log(WARNING, loaded.error("virEventRunDefaultImpl").getMessage());
      }
    }
  }

  @Override
  public void close() {
    closing = true;
  }
}
