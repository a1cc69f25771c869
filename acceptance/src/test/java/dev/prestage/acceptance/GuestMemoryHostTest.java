package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.client.PrestageClient;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.qmp.QmpConnector;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// A machine of a plain QEMU with 512 MiB and a balloon, whose memory follows its forecast.
class GuestMemoryHostTest {
  private static final long MIB = 1 << 20;
  private static final int ALL_MIB = 512;

  /// A run of the long test: a burst in the middle, in seconds since QEMU's start.
  private static final int BURST_BEGINS = 20;

  private static final int BURST_ENDS = 120;
  private static final int RUN_ENDS = 128;
  private static final int BURST_MIB = 300;

  private static Path guest = Path.of("");

  private Path folder = Path.of("");
  private Path followed = Path.of("");
  private Path own = Path.of("");

  @BeforeAll
  static void makeGuest() throws IOException, InterruptedException {
    guest = QemuMachine.guest();
  }

  // JUnit's temporary folders have long paths, and sockets need short ones.
  @BeforeEach
  void makeFolders() throws IOException {
    folder = Files.createTempDirectory("psgm");
    followed = Files.createDirectory(folder.resolve("qmp"));
    own = Files.createDirectory(folder.resolve("own"));
    Files.writeString(followed.resolve("web-1.machine"), "program=web\n");
  }

  @AfterEach
  void removeFolder() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private RunningHost host(String ahead) throws IOException {
    return RunningHost.start(
        folder,
        "qemu: {sockets: qmp}\nguestMemory: {enabled: true, floor: 64MiB, headroom: 5, ahead: %s}\n"
            .formatted(ahead));
  }

  private QemuMachine machine() throws Exception {
    Path swap = folder.resolve("swap.raw");
    try (RandomAccessFile file = new RandomAccessFile(swap.toFile(), "rw")) {
      file.setLength(1 << 30);
    }
    return QemuMachine.start(
        guest,
        "-m",
        Integer.toString(ALL_MIB),
        "-device",
        "virtio-balloon-pci",
        "-drive",
        "if=none,id=swap,format=raw,file=" + swap,
        "-device",
        "virtio-blk-pci,drive=swap",
        "-qmp",
        "unix:" + followed.resolve("web-1.qmp") + ",server=on,wait=off",
        "-qmp",
        "unix:" + own.resolve("web-1.qmp") + ",server=on,wait=off");
  }

  private static long grantedMib(Hypervisor hypervisor) {
    try {
      return hypervisor.memoryStatistics("web-1").grantedBytes() / MIB;
    } catch (HypervisorException e) {
      throw new AssertionError(e);
    }
  }

  /// What past runs used, a number for each slot, as Prestage keeps it.
  private void writePastRuns(int slotSeconds, String levels) throws IOException {
    Files.writeString(
        folder.resolve("state/guest-memory/qemu-runs"),
        "#slot-ns %d\nweb %s\nweb %s\n"
            .formatted(TimeUnit.SECONDS.toNanos(slotSeconds), levels, levels));
  }

  @Test
  void memoryIsTakenBackAndGivenAgainAheadOfItsUse() throws Exception {
    // 100 MiB for a minute, then 300 MiB.
    String levels =
        IntStream.range(0, 100)
            .mapToObj(slot -> slot < 30 ? "100" : "300")
            .collect(Collectors.joining(","));
    host("6s").awaitOk().close();
    writePastRuns(2, levels);
    try (RunningHost host = host("6s").awaitOk();
        QemuMachine machine = machine();
        QmpConnector connector = new QmpConnector(own);
        Hypervisor hypervisor = connector.connect()) {
      host.await("what is not used is taken back", () -> grantedMib(hypervisor) < 250);
      long least = machine.totalBytes();
      host.await("what was used then is there", () -> grantedMib(hypervisor) >= 311);
      host.await("the guest has it", () -> machine.totalBytes() > least + 50 * MIB);
      // The guest uses nothing of it: all of it was given ahead.
      assertThat(metric(host, "memory_grants_total{hypervisor=\"qemu\",reason=\"ahead\"}"))
          .isPositive();
      assertThat(metric(host, "memory_grants_total{hypervisor=\"qemu\",reason=\"needed\"}"))
          .isZero();
      assertThat(host.state()).isEqualTo("ok");
    }
  }

  private static long metric(RunningHost host, String name) throws IOException {
    try (PrestageClient client = host.client()) {
      Matcher value =
          Pattern.compile("prestage_" + Pattern.quote(name) + " ([0-9.]+)")
              .matcher(client.get("/metrics").text());
      assertThat(value.find()).as(name).isTrue();
      return (long) Double.parseDouble(value.group(1));
    }
  }

  /// One run.
  ///
  /// @param swappedPages that the guest read back or wrote
  private record Measured(long swappedPages, long grantedMibSeconds, long usedMibSeconds) {}

  /// From the third run on a burst that repeats swaps nothing with the forecast; sized by use
  /// alone, it does.
  @Test
  @Tag("long")
  @Timeout(value = 15, unit = TimeUnit.MINUTES)
  void aBurstThatRepeatsDoesNotSwap() throws Exception {
    List<Measured> predicted = runs("4s", 4);
    System.out.println("predicted: " + predicted);
    // The levels do not matter to one that is sized by use alone, but it takes from none that is
    // new to it.
    writePastRuns(10, "0");
    List<Measured> reactive = runs("0s", 1);
    System.out.println("by use alone: " + reactive);
    for (Measured run : predicted.subList(2, 4)) {
      assertThat(run.swappedPages).isZero();
      assertThat(run.grantedMibSeconds).isLessThanOrEqualTo(run.usedMibSeconds * 12 / 10);
    }
    assertThat(reactive.getLast().swappedPages).isPositive();
  }

  private List<Measured> runs(String ahead, int count) throws Exception {
    List<Measured> measured = new ArrayList<>();
    try (RunningHost host = host(ahead).awaitOk()) {
      for (int i = 0; i < count; i++) {
        measured.add(run(host));
      }
    }
    return measured;
  }

  private Measured run(RunningHost host) throws Exception {
    long grantedBefore = metric(host, "memory_granted_mib_seconds_total{hypervisor=\"qemu\"}");
    long usedBefore = metric(host, "memory_used_mib_seconds_total{hypervisor=\"qemu\"}");
    long begin = System.nanoTime();
    long swapped;
    try (QemuMachine machine = machine()) {
      var _ = machine.run("mkswap /dev/vda >/dev/null; swapon /dev/vda");
      var _ = machine.run("mkdir /t; mount -t tmpfs -o size=400m t /t");
      until(begin, BURST_BEGINS);
      var _ = machine.run("dd if=/dev/zero of=/t/x bs=1M count=" + BURST_MIB + " 2>/dev/null");
      until(begin, BURST_ENDS);
      var _ = machine.run("cat /t/x >/dev/null; rm /t/x");
      until(begin, RUN_ENDS);
      swapped =
          machine.run("grep pswp /proc/vmstat").stream()
              .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
              .sum();
    }
    host.await("its end is seen", () -> !runs(host));
    return new Measured(
        swapped,
        metric(host, "memory_granted_mib_seconds_total{hypervisor=\"qemu\"}") - grantedBefore,
        metric(host, "memory_used_mib_seconds_total{hypervisor=\"qemu\"}") - usedBefore);
  }

  private static boolean runs(RunningHost host) {
    try {
      return host.get("/v1/vms/web-1").path("running").asBoolean();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /// The guest's program has its times.
  private static void until(long beginNanos, int seconds) {
    long end = beginNanos + TimeUnit.SECONDS.toNanos(seconds);
    while (System.nanoTime() < end) {
      LockSupport.parkNanos(end - System.nanoTime());
    }
  }
}
