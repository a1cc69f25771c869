package dev.prestage.control.vm.qmp;

import static dev.prestage.control.vm.qmp.FakeQemu.MIB;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.TextNode;
import dev.prestage.control.vm.Ability;
import dev.prestage.control.vm.Attachment;
import dev.prestage.control.vm.DiskStatistics;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.GuestEvent.Kind;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.IoLimits;
import dev.prestage.control.vm.MemoryStatistics;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Plain QEMU's guests, against what speaks QMP and misbehaves when it is told to. QemuHostTest has
/// the real one.
final class QmpTest {
  private static final Duration PATIENT = Duration.ofSeconds(20);
  private static final Duration IMPATIENT = Duration.ofMillis(300);
  private static final IoLimits LIMITS = new IoLimits(2 * MIB, 100);

  private Path folder = Path.of("");
  private final List<AutoCloseable> open = new ArrayList<>();
  private final BlockingQueue<GuestEvent> events = new LinkedBlockingQueue<>();

  // JUnit's temporary folders have long paths, and sockets need short ones.
  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory("psqmp");
  }

  @AfterEach
  void closeAll() throws Exception {
    for (AutoCloseable each : open.reversed()) {
      each.close();
    }
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private FakeQemu qemu(String name) throws IOException {
    FakeQemu qemu = new FakeQemu(folder.resolve(name + ".qmp"));
    open.add(qemu);
    return qemu;
  }

  private QmpConnector connector(Duration deadline) {
    QmpConnector connector = new QmpConnector(folder, deadline);
    open.add(connector);
    return connector;
  }

  private QmpHypervisor connect(QmpConnector connector) throws IOException {
    QmpHypervisor hypervisor = (QmpHypervisor) connector.connect();
    open.add(hypervisor);
    hypervisor.watch(events::add);
    return hypervisor;
  }

  private void define(String name, String content) throws IOException {
    Path file = folder.resolve("new");
    Files.writeString(file, content);
    Path _ =
        Files.move(file, folder.resolve(name + ".machine"), StandardCopyOption.REPLACE_EXISTING);
  }

  private static void await(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as(what).isLessThan(end);
      LockSupport.parkNanos(2_000_000);
    }
  }

  private void expect(String name, Kind... kinds) throws InterruptedException {
    for (Kind kind : kinds) {
      assertThat(events.poll(60, TimeUnit.SECONDS)).isEqualTo(new GuestEvent(name, name, kind));
    }
  }

  private static String line(Throwable e) {
    return e.getMessage() + "";
  }

  // ---- inventory and lifecycle

  @Test
  void aMachineIsKnownByItsFileBeforeItsSocketAppearsAndUntilTheFileIsRemoved() throws Exception {
    define("web-1", "# a copy\nprogram = web\nimage = debian.raw\n");
    QmpHypervisor hypervisor = connect(connector(PATIENT));
    Attachment web = new Attachment("web-1", "web", "debian.raw", "");
    assertThat(hypervisor.guests()).containsExactly(new Guest("web-1", "web-1", false, true, web));

    FakeQemu qemu = qemu("web-1").start();
    expect("web-1", Kind.STARTED);
    assertThat(hypervisor.guest("web-1").running()).isTrue();
    qemu.close();
    expect("web-1", Kind.STOPPED);
    Files.delete(folder.resolve("web-1.machine"));
    expect("web-1", Kind.UNDEFINED);
    await("it is gone", () -> hypervisor.guests().isEmpty());
    assertThatThrownBy(() -> hypervisor.guest("web-1"))
        .isInstanceOfSatisfying(HypervisorException.class, e -> assertThat(e.isGone()).isTrue());
  }

  @Test
  void aMachineWithoutAFileIsKnownByItsObjects() throws Exception {
    FakeQemu qemu = qemu("web-1");
    qemu.properties.put("/objects/prestage.program identity", new TextNode("web"));
    qemu.start();
    QmpHypervisor hypervisor = connect(connector(PATIENT));
    assertThat(hypervisor.guests())
        .containsExactly(
            new Guest("web-1", "web-1", true, false, new Attachment("web-1", "web", "", "")));
    assertThat(hypervisor.abilities()).contains(Ability.INVENTORY, Ability.LIFECYCLE);
  }

  @Test
  void startsStopsAndResetsAreToldInOrderAndAPauseIsNoStop() throws Exception {
    FakeQemu qemu = qemu("a");
    qemu.status = "prelaunch";
    qemu.start();
    QmpHypervisor hypervisor = connect(connector(PATIENT));
    assertThat(hypervisor.guest("a").running()).isFalse();
    for (String event :
        List.of("RESUME", "STOP", "RESUME", "POWERDOWN", "RESET", "SHUTDOWN", "STOP")) {
      qemu.event(event);
    }
    expect("a", Kind.STARTED, Kind.STOPPED, Kind.STARTED, Kind.STOPPED);
    for (int i = 0; i < 500; i++) {
      qemu.event("RESUME");
      qemu.event("SHUTDOWN");
    }
    for (int i = 0; i < 500; i++) {
      expect("a", Kind.STARTED, Kind.STOPPED);
    }
  }

  @Test
  void aSocketThatAKilledQemuLeftIsOfAStoppedMachine() throws Exception {
    try (ServerSocketChannel left = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      left.bind(UnixDomainSocketAddress.of(folder.resolve("a.qmp")));
    }
    QmpConnector connector = connector(PATIENT);
    assertThat(connect(connector).guest("a").running()).isFalse();
    assertThat(connector.state()).isEqualTo("ok");
  }

  @Test
  void aDirectoryThatCannotBeReadSaysNothingAboutItsMachines() throws Exception {
    QmpConnector connector = new QmpConnector(folder.resolve("none"), PATIENT);
    open.add(connector);
    assertThatThrownBy(connector::connect)
        .isInstanceOf(HypervisorException.class)
        .hasMessageContaining("none cannot be read (qemu.sockets): ")
        .hasMessageNotContaining("\n");
    Files.createDirectory(folder.resolve("none"));
    QmpHypervisor hypervisor = connect(connector);
    assertThat(hypervisor.isAlive()).isTrue();
    Files.delete(folder.resolve("none"));
    await("it is seen", () -> !hypervisor.isAlive());
    assertThat(events).isEmpty();
  }

  @Test
  void whatIsWrongWithAMachinesFileIsSaidInOneLine() throws Exception {
    QmpConnector connector = connector(PATIENT);
    define("a", "image=b\n");
    assertThat(connect(connector).guests()).containsExactly(new Guest("a", "a", false, true, null));
    assertThat(connector.state())
        .isEqualTo("a.machine names no program: it needs a line program=…");
    define("a", "programme=b\n");
    await("it is read again", () -> connector.state().contains("'programme=…'"));
    define("a", "program=b\n");
    expect("a", Kind.DEFINED);
    await("it is well", () -> connector.state().equals("ok"));
    define("b c", "program=b\n");
    await("it is said", () -> connector.state().contains("is no name of a machine"));
  }

  // ---- a socket that misbehaves

  @Test
  void messagesMayComeInPieces() throws Exception {
    FakeQemu qemu = qemu("a");
    qemu.inBytes = true;
    qemu.start();
    QmpHypervisor hypervisor = connect(connector(PATIENT));
    assertThat(hypervisor.diskStatistics("a", "d0")).isEqualTo(new DiskStatistics(3, 4096, 1, 512));
    assertThat(hypervisor.diskStatistics("a", "disk"))
        .isEqualTo(hypervisor.diskStatistics("a", "#block1"));
    assertThatThrownBy(() -> hypervisor.diskStatistics("a", "sda"))
        .hasMessageContaining("'sda' is none of its disks: d0");
  }

  @Test
  void aQemuThatHangsHoldsUpNobodyAndIsAskedAgainOnceItAnswers() throws Exception {
    FakeQemu dead = qemu("dead").start();
    FakeQemu _ = qemu("well").start();
    QmpConnector connector = connector(IMPATIENT);
    QmpHypervisor hypervisor = connect(connector);
    await("both run", () -> hypervisor.guests().stream().allMatch(Guest::running));
    dead.hangs = true;
    assertThatThrownBy(() -> hypervisor.diskStatistics("dead", "d0"))
        .isInstanceOf(HypervisorException.class)
        .hasMessage("qemu: dead: QMP has not answered for 300 ms");
    int asked = dead.commands.size();
    assertThatThrownBy(() -> hypervisor.limit("dead", "d0", LIMITS))
        .hasMessageContaining("has not answered");
    assertThat(dead.commands).hasSize(asked);
    assertThat(connector.state())
        .isEqualTo("dead: its QMP does not answer: QEMU hangs or is stopped");
    assertThat(hypervisor.diskStatistics("well", "d0").reads()).isEqualTo(3);
    assertThat(hypervisor.guest("dead").running()).isTrue();
    dead.goOn();
    await("it is well", () -> connector.state().equals("ok"));
    assertThat(hypervisor.diskStatistics("dead", "d0").reads()).isEqualTo(3);
  }

  @Test
  void aSocketThatAnotherClientHasIsSaidAndWaitedFor() throws Exception {
    FakeQemu qemu = qemu("a").start();
    QmpClient other = QmpClient.connect(folder.resolve("a.qmp"), _ -> {}, PATIENT);
    assertThat(other.greeting().get(60, TimeUnit.SECONDS).has("version")).isTrue();
    QmpConnector connector = connector(IMPATIENT);
    QmpHypervisor hypervisor = connect(connector);
    await("it is said", () -> connector.state().contains("another client has it"));
    assertThat(hypervisor.guests()).isEmpty();
    assertThatThrownBy(() -> hypervisor.diskStatistics("a", "d0"))
        .hasMessageContaining("another client has it");
    other.close();
    expect("a", Kind.STARTED);
    await("it is well", () -> connector.state().equals("ok"));
    assertThat(qemu.commands).contains("query-status");
  }

  @Test
  void whatIsNoQmpOrTooLongIsSaidAndStopsNoMachine() throws Exception {
    FakeQemu qemu = qemu("a").start();
    QmpConnector connector = connector(IMPATIENT);
    QmpHypervisor hypervisor = connect(connector);
    await("it runs", () -> hypervisor.guests().size() == 1);
    byte[] endless = new byte[QmpClient.LONGEST_MESSAGE + (1 << 20)];
    Arrays.fill(endless, (byte) '[');
    events.clear();
    Map<String, byte[]> wrong =
        Map.of(
            "is longer than 4 MiB", endless,
            "no JSON", "HTTP/1.1 400 Bad Request\r\n".getBytes(StandardCharsets.UTF_8),
            "neither a greeting nor", "[7]\n".getBytes(StandardCharsets.UTF_8));
    for (Map.Entry<String, byte[]> each : wrong.entrySet()) {
      qemu.insteadOfAnswers = each.getValue();
      await(
          "it is asked",
          () -> {
            try {
              hypervisor.diskStatistics("a", "d0");
              return false;
            } catch (HypervisorException e) {
              return !line(e).contains("\n");
            }
          });
      await("it is said", () -> connector.state().contains(each.getKey()));
      assertThat(connector.state()).startsWith("a: its socket does not speak QMP: ");
      qemu.insteadOfAnswers = null;
      await("it is well again", () -> connector.state().equals("ok"));
    }
    assertThat(hypervisor.guest("a").running()).isTrue();
    assertThat(events).isEmpty();
  }

  @Test
  void aConnectionThatEndsInTheMiddleOfACommandIsSaidInOneLine() throws Exception {
    FakeQemu qemu = qemu("a").start();
    QmpHypervisor hypervisor = connect(connector(PATIENT));
    qemu.endsAfter = "query-blockstats";
    assertThatThrownBy(() -> hypervisor.diskStatistics("a", "d0"))
        .isInstanceOf(HypervisorException.class)
        .hasMessage("qemu: a: QMP ended before it answered query-blockstats");
    expect("a", Kind.STOPPED, Kind.STARTED);
  }

  // ---- limits

  private static Map<String, Long> inForce(long bps, long iops) {
    return Map.of(
        "bps", bps, "bps_rd", 0L, "bps_wr", 0L, "iops", iops, "iops_rd", 0L, "iops_wr", 0L);
  }

  @Test
  void aDiskIsLimitedNeverLoosenedAndAsBeforeWhenTheLimitIsReleased() throws Exception {
    FakeQemu qemu = qemu("a");
    qemu.throttle.putAll(Map.of("bps", MIB, "bps_max", 4 * MIB, "bps_max_length", 2L));
    qemu.start();
    QmpHypervisor hypervisor = connect(connector(PATIENT));
    hypervisor.limit("a", "d0", LIMITS);
    assertThat(qemu.throttle).isEqualTo(inForce(MIB, 100));
    hypervisor.limit("a", "disk", new IoLimits(1000, 0));
    assertThat(qemu.throttle).isEqualTo(inForce(1000, 0));
    hypervisor.limit("a", "d0", IoLimits.NONE);
    assertThat(qemu.throttle)
        .containsAllEntriesOf(inForce(MIB, 0))
        .containsAllEntriesOf(Map.of("bps_max", 4 * MIB, "bps_max_length", 2L));
    assertThat(qemu.notes).isEmpty();
    int asked = qemu.commands.size();
    hypervisor.limit("a", "d0", IoLimits.NONE);
    assertThat(qemu.commands.subList(asked, qemu.commands.size()))
        .doesNotContain("block_set_io_throttle");
  }

  @Test
  void aLimitThatQemuRefusesLeavesWhatWas() throws Exception {
    FakeQemu qemu = qemu("a");
    qemu.refused = "block_set_io_throttle";
    qemu.start();
    QmpConnector connector = connector(PATIENT);
    QmpHypervisor hypervisor = connect(connector);
    assertThatThrownBy(() -> hypervisor.limit("a", "d0", LIMITS))
        .isInstanceOf(HypervisorException.class)
        .hasMessage("qemu: a refuses: not today");
    assertThat(qemu.notes).isEmpty();
    assertThat(connector.state()).isEqualTo("ok");
    assertThatThrownBy(() -> hypervisor.limit("a", "sda", LIMITS))
        .hasMessageContaining("none of its disks");
  }

  @Test
  void aLimitThatWouldLoosenLimitsOfReadsIsRefused() throws Exception {
    FakeQemu qemu = qemu("a");
    qemu.throttle.put("bps_rd", 1000L);
    qemu.start();
    QmpHypervisor hypervisor = connect(connector(PATIENT));
    assertThatThrownBy(() -> hypervisor.limit("a", "d0", LIMITS))
        .hasMessageContaining("would loosen");
    hypervisor.limit("a", "d0", new IoLimits(900, 0));
    assertThat(qemu.throttle).isEqualTo(inForce(900, 0));
    hypervisor.limit("a", "d0", IoLimits.NONE);
    assertThat(qemu.throttle).containsEntry("bps", 0L).containsEntry("bps_rd", 1000L);
  }

  @Test
  void aConnectionThatEndsInTheMiddleOfAChangeHasTheOldLimitPutBack() throws Exception {
    for (String last : List.of("before", "after")) {
      FakeQemu qemu = qemu(last);
      qemu.throttle.put("iops", 7L);
      if (last.equals("before")) {
        qemu.endsBefore = "block_set_io_throttle";
      } else {
        qemu.endsAfter = "block_set_io_throttle";
      }
      qemu.start();
      QmpConnector connector = connector(PATIENT);
      QmpHypervisor hypervisor = connect(connector);
      await("it is seen", () -> hypervisor.guests().size() == 1);
      assertThatThrownBy(() -> hypervisor.limit(last, "d0", LIMITS))
          .hasMessageContaining("QMP ended before");
      await("the note is gone", qemu.notes::isEmpty);
      assertThat(qemu.throttle).isEqualTo(inForce(0, 7));
      await("it is well", () -> connector.state().equals("ok"));
      connector.close();
      qemu.close();
    }
  }

  @Test
  void aLimitThatWasNotAnsweredInTimeIsPutBackOnceQemuAnswers() throws Exception {
    FakeQemu qemu = qemu("a");
    qemu.start();
    QmpConnector connector = connector(IMPATIENT);
    QmpHypervisor hypervisor = connect(connector);
    await("it runs", () -> hypervisor.guests().stream().anyMatch(Guest::running));
    qemu.hangsAt = "block_set_io_throttle";
    assertThatThrownBy(() -> hypervisor.limit("a", "d0", LIMITS))
        .hasMessageContaining("has not answered");
    await("it was carried out", () -> qemu.throttle.equals(inForce(2 * MIB, 100)));
    assertThat(qemu.notes).hasSize(1);
    qemu.goOn();
    await("the note is gone", qemu.notes::isEmpty);
    assertThat(qemu.throttle).isEqualTo(inForce(0, 0));
    await("it is well", () -> connector.state().equals("ok"));
  }

  @Test
  void aLimitThatIsHeldOutlivesItsConnectionAndNotItsProcess() throws Exception {
    FakeQemu qemu = qemu("a");
    qemu.throttle.put("iops", 7L);
    qemu.start();
    QmpConnector connector = connector(PATIENT);
    QmpHypervisor hypervisor = connect(connector);
    hypervisor.limit("a", "d0", LIMITS);
    assertThat(qemu.throttle).isEqualTo(inForce(2 * MIB, 7));
    qemu.hangUp();
    expect("a", Kind.STOPPED, Kind.STARTED);
    hypervisor.limit("a", "d0", LIMITS);
    assertThat(qemu.notes).hasSize(1);
    assertThat(qemu.throttle).isEqualTo(inForce(2 * MIB, 7));
    connector.close();

    QmpHypervisor _ = connect(connector(PATIENT));
    await("the note is gone", qemu.notes::isEmpty);
    assertThat(qemu.throttle).isEqualTo(inForce(0, 7));
  }

  @Test
  void aMachineThatVanishesWithALimitTakesItAlong() throws Exception {
    FakeQemu qemu = qemu("a").start();
    QmpConnector connector = connector(PATIENT);
    QmpHypervisor hypervisor = connect(connector);
    hypervisor.limit("a", "d0", LIMITS);
    qemu.close();
    expect("a", Kind.STOPPED);
    assertThatThrownBy(() -> hypervisor.limit("a", "d0", IoLimits.NONE))
        .isInstanceOfSatisfying(HypervisorException.class, e -> assertThat(e.isGone()).isTrue());
    FakeQemu next = qemu("a").start();
    expect("a", Kind.STARTED);
    hypervisor.limit("a", "d0", IoLimits.NONE);
    assertThat(next.commands).doesNotContain("block_set_io_throttle");
    assertThat(connector.state()).isEqualTo("ok");
  }

  // ---- memory

  private static long now() {
    return TimeUnit.MILLISECONDS.toSeconds(System.currentTimeMillis());
  }

  @Test
  void memoryIsCountedWhereTheGuestSaysItAndUnknownWhereThatIsOldOrMissing() throws Exception {
    FakeQemu qemu = qemu("a").withBalloon(now(), 40 * MIB).start();
    QmpHypervisor hypervisor = connect(connector(PATIENT));
    MemoryStatistics memory = hypervisor.memoryStatistics("a");
    assertThat(memory.grantedBytes()).isEqualTo(512 * MIB);
    assertThat(memory.unusedBytes()).isEqualTo(40 * MIB);
    // It was said in this second or the last one.
    assertThat(memory.ageNanos()).isBetween(1_000_000_000L, 3_000_000_000L);
    assertThat(qemu.properties.get("/machine/peripheral/bal guest-stats-polling-interval"))
        .hasToString("1");
    FakeQemu _ = qemu.withBalloon(now() - 60, 40 * MIB);
    assertThat(hypervisor.memoryStatistics("a").unusedBytes()).isEqualTo(-1);
    // A clock that was set back.
    FakeQemu _ = qemu.withBalloon(now() + 3600, 40 * MIB);
    assertThat(hypervisor.memoryStatistics("a").unusedBytes()).isEqualTo(-1);
    // QEMU's word for what the guest does not say.
    FakeQemu _ = qemu.withBalloon(now(), -1);
    assertThat(hypervisor.memoryStatistics("a").unusedBytes()).isEqualTo(-1);
    qemu.devices.clear();
    assertThat(hypervisor.memoryStatistics("a")).isEqualTo(new MemoryStatistics(512 * MIB, -1, -1));
  }

  @Test
  void memoryIsSizedByTheBalloonWithinWhatTheMachineWasStartedWith() throws Exception {
    FakeQemu qemu = qemu("a").withBalloon(now(), 40 * MIB).start();
    QmpHypervisor hypervisor = connect(connector(PATIENT));
    hypervisor.resizeMemory("a", 256 * MIB);
    assertThat(hypervisor.memoryStatistics("a").grantedBytes()).isEqualTo(256 * MIB);
    for (long wrong : new long[] {0, 513 * MIB}) {
      assertThatThrownBy(() -> hypervisor.resizeMemory("a", wrong))
          .hasMessageContaining("it has 536870912 at most");
    }
    assertThat(qemu.balloonBytes).isEqualTo(256 * MIB);
  }

  @Test
  void aGuestWithoutBalloonDriverIsRefusedAndNotSentAnything() throws Exception {
    FakeQemu qemu = qemu("a").withBalloon(0, -1).start();
    QmpHypervisor hypervisor = connect(connector(PATIENT));
    assertThatThrownBy(() -> hypervisor.resizeMemory("a", 256 * MIB))
        .hasMessage(
            "qemu: a: its memory cannot be changed now: no balloon driver in it has said anything yet");
    assertThat(qemu.commands).doesNotContain("balloon");
    qemu.devices.clear();
    assertThatThrownBy(() -> hypervisor.resizeMemory("a", 256 * MIB))
        .hasMessageContaining("neither a virtio-balloon nor a virtio-mem device");
  }

  @Test
  void memoryIsSizedByVirtioMemWhereThereIsNoBalloon() throws Exception {
    FakeQemu qemu = qemu("a").withVirtioMem("vm0", 256 * MIB).start();
    QmpHypervisor hypervisor = connect(connector(PATIENT));
    hypervisor.resizeMemory("a", 613 * MIB);
    assertThat(qemu.properties.get("/machine/peripheral/vm0 requested-size"))
        .hasToString(Long.toString(100 * MIB));
    for (long wrong : new long[] {511 * MIB, 769 * MIB}) {
      assertThatThrownBy(() -> hypervisor.resizeMemory("a", wrong))
          .hasMessageContaining("between 536870912 and 805306368");
    }
  }
}
