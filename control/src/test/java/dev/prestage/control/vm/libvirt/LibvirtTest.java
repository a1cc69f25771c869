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
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Against libvirt's own test driver, which runs in this process and needs no daemon. What a VM
/// manager does is done by calls of its own.
final class LibvirtTest {
  private static final String URI = "test:///default";

  @TempDir private Path folder = Path.of("");
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
    return domain(name, "raw", "/mnt/images/d.raw", "");
  }

  private static String domain(String name, String format, String file, String more) {
    return """
    <domain type='test'><name>%s</name><memory>1024</memory><os><type>hvm</type></os>
      <devices><disk type='file' device='disk'><driver name='qemu' type='%s'/>
        <source file='%s'/><target dev='vda' bus='virtio'/>%s</disk></devices>
    </domain>\
    """
        .formatted(name, format, file, more);
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
      return defineXml(domain(name));
    }

    MemorySegment defineXml(String xml) throws HypervisorException {
      try (Arena arena = Arena.ofConfined()) {
        return library.pointer("virDomainDefineXML", connection, arena.allocateFrom(xml));
      }
    }

    String xml(MemorySegment domain) throws HypervisorException {
      return library.ownText(library.pointer("virDomainGetXMLDesc", domain, Domains.XML_INACTIVE));
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
          new ServedDisk(
              attachment,
              Path.of("/mnt/images/d.raw"),
              Path.of("/run/nbd.sock"),
              Path.of("/mnt/images/o.qcow2"));
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

  private ServedDisk served(String name) {
    return new ServedDisk(
        new Attachment(name, "shop", "d.raw", "vda"),
        folder.resolve("d.raw"),
        Path.of("/run/nbd.sock"),
        folder.resolve(name + ".qcow2"));
  }

  private String raw(String name) {
    return domain(name, "raw", folder.resolve("d.raw").toString(), "");
  }

  /// A qcow2 header that names its backing file, which is all that is looked at.
  private void writeOverlay(String name, String backing) throws IOException {
    byte[] text = backing.getBytes(StandardCharsets.UTF_8);
    ByteBuffer header = ByteBuffer.allocate(104 + text.length);
    header.putInt(0x514649fb).putInt(3).putLong(104).putInt(text.length);
    Files.write(folder.resolve(name), header.put(104, text).array());
  }

  @Test
  void aDomainThatWouldStartFromAnotherDefinitionIsNeitherAttachedNorDetached() throws Exception {
    try (Manager manager = new Manager();
        Hypervisor hypervisor = LibvirtHypervisor.open(library, URI)) {
      MemorySegment domain = manager.defineXml(raw("saved"));
      manager.tell("virDomainCreate", domain);
      library.checked("virDomainManagedSave", domain, 0);
      for (ThrowingCallable call :
          List.<ThrowingCallable>of(
              () -> hypervisor.plan("saved", served("saved")),
              () -> hypervisor.attach("saved", served("saved")))) {
        assertThatThrownBy(call).hasMessageContaining("virsh managedsave-remove saved");
      }
      library.checked("virDomainManagedSaveRemove", domain, 0);
      hypervisor.attach("saved", served("saved"));
      manager.tell("virDomainCreate", domain);
      library.checked("virDomainManagedSave", domain, 0);
      for (ThrowingCallable call :
          List.<ThrowingCallable>of(
              () -> hypervisor.planDetach("saved"), () -> hypervisor.detach("saved"))) {
        assertThatThrownBy(call).hasMessageContaining("virsh managedsave-remove saved");
      }
      library.checked("virDomainManagedSaveRemove", domain, 0);

      try (Arena arena = Arena.ofConfined()) {
        MemorySegment snapshot =
            library.pointer(
                "virDomainSnapshotCreateXML",
                domain,
                arena.allocateFrom("<domainsnapshot><name>s</name></domainsnapshot>"),
                0);
        assertThatThrownBy(() -> hypervisor.detach("saved"))
            .hasMessageContaining("virsh snapshot-list saved");
        library.checked("virDomainSnapshotDelete", snapshot, 0);
      }
      hypervisor.detach("saved");
      manager.tell("virDomainUndefine", domain);
    }
  }

  @Test
  void anImageThatAnotherDomainWritesToByWhateverNameIsNotAttached() throws Exception {
    Files.createFile(folder.resolve("d.raw"));
    Files.createSymbolicLink(folder.resolve("soft.raw"), folder.resolve("d.raw"));
    Files.createLink(folder.resolve("hard.raw"), folder.resolve("d.raw"));
    try (Manager manager = new Manager();
        Hypervisor hypervisor = LibvirtHypervisor.open(library, URI)) {
      MemorySegment first = manager.defineXml(raw("first"));
      for (String name : List.of("d.raw", "soft.raw", "hard.raw")) {
        MemorySegment second =
            manager.defineXml(domain("second", "raw", folder.resolve(name).toString(), ""));
        for (ThrowingCallable call :
            List.<ThrowingCallable>of(
                () -> hypervisor.plan("first", served("first")),
                () -> hypervisor.attach("first", served("first")))) {
          assertThatThrownBy(call)
              .as(name)
              .hasMessageContaining("domain second has it as a disk that it writes to");
        }
        manager.tell("virDomainUndefine", second);
      }
      // One that runs with it counts, whatever is defined for its next start.
      MemorySegment running = manager.defineXml(raw("second"));
      manager.tell("virDomainCreate", running);
      String uuid = manager.xml(running).replaceAll("(?s).*(<uuid>.*</uuid>).*", "$1");
      MemorySegment _ =
          manager.defineXml(
              domain("second", "raw", "/elsewhere.raw", "").replace("</name>", "</name>" + uuid));
      assertThatThrownBy(() -> hypervisor.attach("first", served("first")))
          .hasMessageContaining("domain second has it");
      manager.tell("virDomainDestroy", running);
      manager.tell("virDomainUndefine", running);

      // So do the domain itself, as it runs, and its other disks.
      manager.tell("virDomainCreate", first);
      assertThatThrownBy(() -> hypervisor.attach("first", served("first")))
          .hasMessageContaining("domain first itself writes to it");
      manager.tell("virDomainDestroy", first);
      String again =
          "</disk><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='%s'/><target dev='vdb' bus='virtio'/>"
              .formatted(folder.resolve("hard.raw"));
      MemorySegment twice =
          manager.defineXml(domain("twice", "raw", folder.resolve("d.raw") + "", again));
      manager.tell("virDomainUndefine", first);
      assertThatThrownBy(() -> hypervisor.attach("twice", served("twice")))
          .hasMessageContaining("domain twice itself writes to it");
      manager.tell("virDomainUndefine", twice);
      first = manager.defineXml(raw("first"));

      // Reading is no harm.
      MemorySegment reader =
          manager.defineXml(
              domain("reader", "raw", folder.resolve("d.raw").toString(), "<readonly/>"));
      hypervisor.attach("first", served("first"));
      manager.tell("virDomainUndefine", reader);
      manager.tell("virDomainUndefine", first);
    }
  }

  @Test
  void anImageIsNotWrittenToAgainWhileAnotherDomainReadsItInWhateverWay() throws Exception {
    Files.createFile(folder.resolve("d.raw"));
    writeOverlay("lower.qcow2", "d.raw");
    writeOverlay("upper.qcow2", folder.resolve("lower.qcow2").toString());
    writeOverlay(
        "json.qcow2",
        "json:{\"driver\":\"raw\",\"file\":{\"filename\":\"%s\"}}"
            .formatted(folder.resolve("d.raw")));
    try (Manager manager = new Manager();
        Hypervisor hypervisor = LibvirtHypervisor.open(library, URI)) {
      MemorySegment first = manager.defineXml(raw("first"));
      hypervisor.attach("first", served("first"));
      final String own = manager.xml(first);
      for (String other :
          List.of(
              domain("other", "raw", folder.resolve("d.raw").toString(), "<readonly/>"),
              domain("other", "qcow2", folder.resolve("lower.qcow2").toString(), ""),
              domain("other", "qcow2", folder.resolve("upper.qcow2").toString(), ""),
              domain("other", "qcow2", folder.resolve("json.qcow2").toString(), ""),
              // A copy of the definition carries the note along.
              own.replaceFirst("<uuid>.*</uuid>", "").replace(">first<", ">other<"))) {
        MemorySegment reader = manager.defineXml(other);
        for (ThrowingCallable call :
            List.<ThrowingCallable>of(
                () -> hypervisor.planDetach("first"), () -> hypervisor.detach("first"))) {
          assertThatThrownBy(call)
              .as(other)
              .hasMessageContaining("domain other has as a disk or under its overlay");
        }
        manager.tell("virDomainUndefine", reader);
      }
      MemorySegment unrelated =
          manager.defineXml(domain("other", "raw", folder.resolve("lower.qcow2").toString(), ""));
      assertThat(hypervisor.planDetach("first").note())
          .contains(
              "what first wrote stays in " + folder.resolve("first.qcow2"),
              "'qemu-img commit " + folder.resolve("first.qcow2"));
      hypervisor.detach("first");
      manager.tell("virDomainUndefine", unrelated);
      manager.tell("virDomainUndefine", first);
    }
  }

  /// A disk that only read the image may read it again, but nobody may commit to it.
  @Test
  void committingIsNotAdvisedWhereAnotherDomainRestsOnTheImage() throws Exception {
    Files.createFile(folder.resolve("d.raw"));
    String file = folder.resolve("d.raw").toString();
    try (Manager manager = new Manager();
        Hypervisor hypervisor = LibvirtHypervisor.open(library, URI)) {
      MemorySegment first = manager.defineXml(domain("first", "raw", file, "<readonly/>"));
      hypervisor.attach("first", served("first"));
      MemorySegment reader = manager.defineXml(domain("other", "raw", file, "<readonly/>"));
      assertThat(hypervisor.planDetach("first").note())
          .contains("do not commit", "domain other has the image under it");
      hypervisor.detach("first");
      manager.tell("virDomainUndefine", reader);
      manager.tell("virDomainUndefine", first);
    }
  }

  @Test
  void whatLibvirtMakesOfADefinitionIsNoChangeAndWhatSomebodyElseDoesIs() throws Exception {
    try (Manager manager = new Manager();
        Hypervisor hypervisor = LibvirtHypervisor.open(library, URI)) {
      MemorySegment domain = manager.defineXml(raw("edited"));
      hypervisor.attach("edited", served("edited"));
      String attached = manager.xml(domain);
      MemorySegment _ = manager.defineXml(attached);
      assertThat(hypervisor.planDetach("edited").after()).doesNotContain("prestage");
      MemorySegment _ =
          manager.defineXml(
              attached.replace("type='qcow2' error", "type='qcow2' cache='none' error"));
      assertThatThrownBy(() -> hypervisor.detach("edited"))
          .hasMessageContaining("was changed since it was attached")
          .hasMessageContaining("cache='none'");
      MemorySegment _ = manager.defineXml(attached);
      hypervisor.detach("edited");
      manager.tell("virDomainUndefine", domain);
    }
  }

  @Test
  void aCopiedDefinitionIsNotTakenForAnAttachedGuest() throws Exception {
    try (Manager manager = new Manager();
        Hypervisor hypervisor = LibvirtHypervisor.open(library, URI)) {
      MemorySegment domain = manager.defineXml(raw("original"));
      hypervisor.attach("original", served("original"));
      MemorySegment copy =
          manager.defineXml(
              manager
                  .xml(domain)
                  .replaceFirst("<uuid>.*</uuid>", "")
                  .replace("<name>original", "<name>copy"));
      assertThat(hypervisor.guest("original").attachment()).isNotNull();
      assertThat(hypervisor.guest("copy").attachment()).isNull();
      assertThat(hypervisor.guests())
          .filteredOn(guest -> guest.name().equals("copy"))
          .allMatch(guest -> guest.vm().equals("copy"));
      assertThatThrownBy(() -> hypervisor.detach("copy"))
          .hasMessageContaining("virsh metadata copy");
      manager.tell("virDomainUndefine", copy);
      manager.tell("virDomainUndefine", domain);
    }
  }

  /// Libvirt calls back on a thread of its own, through which nothing may be thrown.
  @Test
  void aListenerThatFailsInWhateverWayHearsTheNextEventAndNoneStaysBehind() throws Exception {
    BlockingQueue<String> heard = new LinkedBlockingQueue<>();
    try (LibvirtConnector connector = new LibvirtConnector(URI);
        Manager manager = new Manager()) {
      for (int round = 0; round < 3; round++) {
        LibvirtHypervisor closed;
        try (LibvirtHypervisor hypervisor = (LibvirtHypervisor) connector.connect()) {
          hypervisor.watch(event -> {
            if (event.kind() == Kind.DEFINED) {
              throw new StackOverflowError("a fault of the listener");
            }
            heard.add(event.name());
          });
          assertThat(hypervisor.listening()).isEqualTo(1);
          assertThatThrownBy(() -> hypervisor.watch(_ -> {}))
              .isInstanceOf(IllegalStateException.class);
          MemorySegment domain = manager.define("faulty");
          manager.tell("virDomainCreate", domain);
          assertThat(heard.poll(30, TimeUnit.SECONDS)).isEqualTo("faulty");
          manager.tell("virDomainDestroy", domain);
          assertThat(heard.poll(30, TimeUnit.SECONDS)).isEqualTo("faulty");
          manager.tell("virDomainUndefine", domain);
          assertThat(heard.poll(30, TimeUnit.SECONDS)).isEqualTo("faulty");
          closed = hypervisor;
        }
        assertThat(closed.listening()).isZero();
      }
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
