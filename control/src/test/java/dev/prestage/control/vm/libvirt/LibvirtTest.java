package dev.prestage.control.vm.libvirt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.prestage.control.vm.Ability;
import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.GuestEvent.Kind;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.ServedDisk;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Against libvirt's own test driver, which runs in this process and needs no daemon. What a VM
/// manager does is done by calls of its own.
final class LibvirtTest {
  private static final String URI = "test:///default";

  private Library library;

  @BeforeEach
  void load() {
    try {
      library = Library.load();
    } catch (HypervisorException e) {
      assumeThat(false).as(e.getMessage()).isTrue();
    }
  }

  private static String domain(String name) {
    return """
    <domain type='test'><name>%s</name><memory>1024</memory><os><type>hvm</type></os>
      <devices><disk type='file' device='disk'><driver name='qemu' type='raw'/>
        <source file='/mnt/images/d.raw'/><target dev='vda' bus='virtio'/></disk></devices>
    </domain>\
    """
        .formatted(name);
  }

  /// A VM manager beside us.
  private final class Manager implements AutoCloseable {
    private final MemorySegment connection;

    Manager() throws HypervisorException {
      library.checked("virInitialize");
      try (Arena arena = Arena.ofConfined()) {
        connection = library.pointer("virConnectOpen", arena.allocateFrom(URI));
      }
    }

    MemorySegment define(String name) throws HypervisorException {
      try (Arena arena = Arena.ofConfined()) {
        return library.pointer("virDomainDefineXML", connection, arena.allocateFrom(domain(name)));
      }
    }

    void tell(String what, MemorySegment domain) throws HypervisorException {
      library.checked(what, domain);
    }

    @Override
    public void close() {
      int _ = library.number("virConnectClose", connection);
    }
  }

  @Test
  void guestsAreListedWithTheirStates() throws HypervisorException {
    try (Hypervisor hypervisor = LibvirtHypervisor.open(library, URI)) {
      assertThat(hypervisor.abilities()).contains(Ability.INVENTORY, Ability.LIFECYCLE);
      assertThat(hypervisor.isAlive()).isTrue();
      Guest test = hypervisor.guest("test");
      assertThat(test.running()).isTrue();
      assertThat(test.persistent()).isTrue();
      assertThat(test.attachment()).isNull();
      assertThat(hypervisor.guests()).contains(test);
    }
  }

  @Test
  void whatIsNotThereIsSaidInOneLine() throws HypervisorException {
    try (Hypervisor hypervisor = LibvirtHypervisor.open(library, URI)) {
      assertThatThrownBy(() -> hypervisor.guest("nobody"))
          .isInstanceOf(HypervisorException.class)
          .hasMessage(
              "'nobody' is no domain of test:///default; virsh -c test:///default list --all has all");
    }
    assertThatThrownBy(() ->
            LibvirtHypervisor.open(library, "qemu+unix:///system?socket=/nowhere/libvirt-sock"))
        .isInstanceOf(HypervisorException.class)
        .hasMessageContaining("cannot be connected to")
        .hasMessageContaining("/nowhere/libvirt-sock")
        .hasMessageNotContaining("\n");
  }

  @Test
  void aDomainIsAttachedAndDetachedAgain() throws HypervisorException {
    try (Manager manager = new Manager();
        Hypervisor hypervisor = LibvirtHypervisor.open(library, URI)) {
      MemorySegment domain = manager.define("attached");
      Attachment attachment = new Attachment("attached", "shop", "d.raw", "vda");
      ServedDisk served =
          new ServedDisk(attachment, Path.of("/run/nbd.sock"), Path.of("/mnt/images/o.qcow2"));
      String before = hypervisor.plan("attached", served).before();
      hypervisor.attach("attached", served);
      assertThat(hypervisor.guest("attached").attachment()).isEqualTo(attachment);
      assertThat(hypervisor.disks("attached").getFirst().source()).isEqualTo("/mnt/images/o.qcow2");
      assertThat(hypervisor.planDetach("attached").after()).isEqualTo(before);
      hypervisor.detach("attached");
      assertThat(hypervisor.guest("attached").attachment()).isNull();
      manager.tell("virDomainUndefine", domain);
    }
  }

  /// A storm of events in one process: all of them come, in order, each with its guest's id.
  @Test
  void everyStartAndStopOfAStormIsHeardInOrder() throws Exception {
    int guests = 20;
    int rounds = 50;
    BlockingQueue<GuestEvent> heard = new LinkedBlockingQueue<>();
    try (LibvirtConnector connector = new LibvirtConnector(URI);
        Hypervisor hypervisor = connector.connect();
        Manager manager = new Manager()) {
      hypervisor.watch(heard::add);
      List<MemorySegment> domains = new ArrayList<>();
      for (int i = 0; i < guests; i++) {
        domains.add(manager.define("storm-" + i));
      }
      for (int round = 0; round < rounds; round++) {
        for (MemorySegment domain : domains) {
          manager.tell("virDomainCreate", domain);
        }
        for (MemorySegment domain : domains) {
          manager.tell("virDomainDestroy", domain);
        }
      }
      for (MemorySegment domain : domains) {
        manager.tell("virDomainUndefine", domain);
      }
      List<GuestEvent> events = new ArrayList<>();
      while (events.size() < guests * (2 + 2 * rounds)) {
        GuestEvent event = heard.poll(30, TimeUnit.SECONDS);
        assertThat(event).as("after %d events", events.size()).isNotNull();
        if (event.name().startsWith("storm-")) {
          events.add(event);
        }
      }
      for (int i = 0; i < guests; i++) {
        String name = "storm-" + i;
        List<GuestEvent> own = events.stream().filter(e -> e.name().equals(name)).toList();
        assertThat(own.stream().map(GuestEvent::id).distinct()).hasSize(1);
        assertThat(own.getFirst().kind()).isEqualTo(Kind.DEFINED);
        assertThat(own.getLast().kind()).isEqualTo(Kind.UNDEFINED);
        for (int at = 1; at < own.size() - 1; at++) {
          assertThat(own.get(at).kind()).isEqualTo(at % 2 == 1 ? Kind.STARTED : Kind.STOPPED);
        }
      }
    }
  }
}
