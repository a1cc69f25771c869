package dev.prestage.control.vm.libvirt;

import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.vm.GuestWatch;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
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
  private boolean dispatching;
  private volatile boolean closing;

  /// @param uri such as `qemu:///system`
  public LibvirtConnector(String uri) {
    this.uri = uri;
  }

  @Override
  public String name() {
    return "libvirt";
  }

  /// Opens a connection, with questions to the daemon whether it is there from its first moment on.
  /// Opening itself waits for as long as the daemon hangs.
  @Override
  public Hypervisor connect() throws HypervisorException {
    Library loaded = withEvents();
    LibvirtHypervisor hypervisor = LibvirtHypervisor.open(loaded, uri);
    hypervisor.keepAlive(KEEP_ALIVE_SECONDS, KEEP_ALIVE_TIMES);
    return hypervisor;
  }

  /// Loads the library once and starts one event loop, also where a step between fails and is tried
  /// again: what the library takes is given back when the process ends only.
  private Library withEvents() throws HypervisorException {
    Library loaded = library;
    if (loaded == null) {
      loaded = Library.load();
      library = loaded;
    }
    if (!dispatching) {
      Library running = loaded;
      loaded.checked("virEventRegisterDefaultImpl");
      loaded.wakeEvery(LOOK_MILLIS);
      Thread.ofPlatform().name("libvirt-events").daemon().start(() -> dispatchEvents(running));
      dispatching = true;
    }
    return loaded;
  }

  /// Without this loop no event is heard and no daemon is noticed that hangs, so it never ends by a
  /// fault.
  private void dispatchEvents(Library loaded) {
    while (!closing) {
      try {
        if (loaded.number("virEventRunDefaultImpl") >= 0) {
          continue;
        }
        LOG.log(WARNING, loaded.error("virEventRunDefaultImpl").getMessage());
      } catch (Throwable e) {
        LOG.log(WARNING, "libvirt's event loop failed, and goes on", e);
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(LOOK_MILLIS));
    }
  }

  @Override
  public void close() {
    closing = true;
  }
}
