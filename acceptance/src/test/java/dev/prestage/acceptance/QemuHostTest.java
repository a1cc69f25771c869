package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.client.PrestageClient;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.IoLimits;
import dev.prestage.control.vm.qmp.QmpConnector;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Machines of a plain QEMU, followed and changed through their QMP sockets.
class QemuHostTest {
  private static final long MIB = 1 << 20;

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
    folder = Files.createTempDirectory("psqm");
    followed = Files.createDirectory(folder.resolve("qmp"));
    own = Files.createDirectory(folder.resolve("own"));
  }

  @AfterEach
  void removeFolder() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static String qmp(Path directory, String name) {
    return "unix:" + directory.resolve(name + ".qmp") + ",server=on,wait=off";
  }

  /// A machine as the manual has it, with one more QMP socket for this test.
  private QemuMachine startFromPrestage(String name) throws Exception {
    Path socket = folder.resolve("state").resolve("sockets").resolve("nbd.sock");
    return QemuMachine.start(
        guest,
        "-m",
        "256",
        "-device",
        "virtio-balloon-pci",
        "-drive",
        "if=none,id=disk,format=raw,read-only=on,file.driver=nbd,file.server.type=unix,"
            + "file.server.path="
            + socket
            + ",file.export="
            + name
            + ",file.reconnect-delay=60",
        "-device",
        "virtio-blk-pci,drive=disk",
        "-qmp",
        qmp(followed, name),
        "-qmp",
        qmp(own, name));
  }

  private static JsonNode vms(RunningHost host) {
    try {
      return host.get("/v1/vms").path("vms");
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static boolean runs(RunningHost host) {
    return vms(host).path(0).path("running").asBoolean();
  }

  /// Waits for what a hypervisor says.
  private interface Condition {
    boolean holds() throws HypervisorException;
  }

  private static void await(String what, Condition condition) throws HypervisorException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(90);
    while (!condition.holds()) {
      assertThat(System.nanoTime()).as(what).isLessThan(end);
      LockSupport.parkNanos(50_000_000);
    }
  }

  @Test
  void aLabelledMachineIsRegisteredFollowedAndForgotten() throws Exception {
    try (RunningHost host = RunningHost.start(folder, "qemu: {sockets: qmp}\n")) {
      host.awaitOk();
      Files.writeString(followed.resolve("web-1.machine"), "program=web\nimage=disk.raw\n");
      host.await(
          "it is registered before it starts",
          () -> vms(host).path(0).path("vm").asText().equals("web-1"));
      assertThat(runs(host)).isFalse();
      for (int start = 0; start < 2; start++) {
        try (QemuMachine machine = startFromPrestage("web-1")) {
          host.await("its start is seen", () -> runs(host));
          measure(machine);
          machine.powerOff();
        }
        host.await("its stop is seen", () -> !runs(host));
        assertThat(host.state()).isEqualTo("ok");
      }
      try (QemuMachine _ = startFromPrestage("web-1")) {
        host.await("it runs", () -> runs(host));
        // It is killed.
      }
      host.await("its end is seen", () -> !runs(host));
      Files.delete(followed.resolve("web-1.machine"));
      host.await("it is forgotten", () -> vms(host).isEmpty());
      try (PrestageClient client = host.client()) {
        assertThat(client.get("/metrics").text()).contains("prestage_qemu_machines 0\n");
      }
    }
  }

  /// Counts, limits and resizes the machine over its other socket.
  private void measure(QemuMachine machine) throws Exception {
    try (QmpConnector connector = new QmpConnector(own);
        Hypervisor hypervisor = connector.connect()) {
      final long readBefore = hypervisor.diskStatistics("web-1", "disk").readBytes();
      final long unlimited = readNanos(machine);
      assertThat(hypervisor.diskStatistics("web-1", "disk").readBytes() - readBefore)
          .isGreaterThanOrEqualTo(8 * MIB);

      hypervisor.limit("web-1", "disk", new IoLimits(MIB, 0));
      final long limited = readNanos(machine);
      hypervisor.limit("web-1", "disk", IoLimits.NONE);
      long released = readNanos(machine);
      // Four MiB at one MiB/s, against what takes a tenth of a second.
      System.out.printf(
          "4 MiB: %d ms, limited to 1 MiB/s %d ms, released %d ms%n",
          TimeUnit.NANOSECONDS.toMillis(unlimited),
          TimeUnit.NANOSECONDS.toMillis(limited),
          TimeUnit.NANOSECONDS.toMillis(released));
      assertThat(limited).isGreaterThan(3 * Math.max(unlimited, released));

      await(
          "the balloon's driver says what is free",
          () -> hypervisor.memoryStatistics("web-1").unusedBytes() > 0);
      long total = machine.totalBytes();
      hypervisor.resizeMemory("web-1", 192 * MIB);
      await(
          "the guest has given it back",
          () -> hypervisor.memoryStatistics("web-1").grantedBytes() == 192 * MIB);
      assertThat(total - machine.totalBytes()).isEqualTo(64 * MIB);
      hypervisor.resizeMemory("web-1", 256 * MIB);
      await("it has it again", () -> machine.totalBytes() == total);
    }
  }

  /// The second of two reads: the first one has the bytes come from the origin.
  private static long readNanos(QemuMachine machine) throws Exception {
    String read = "dd if=/dev/vda of=/dev/null bs=64k count=64 iflag=direct 2>/dev/null";
    var _ = machine.run(read);
    long begin = System.nanoTime();
    var _ = machine.run(read);
    return System.nanoTime() - begin;
  }

  @Test
  void aMachineWithVirtioMemAndWithoutDisksGetsMoreMemoryThanItStartedWith() throws Exception {
    try (QemuMachine machine =
            QemuMachine.start(
                guest,
                "-m",
                "256,slots=2,maxmem=1G",
                "-object",
                "memory-backend-ram,id=more,size=256M",
                "-device",
                "virtio-mem-pci,id=plug,memdev=more",
                "-object",
                "authz-simple,id=prestage.program,identity=web",
                "-qmp",
                qmp(own, "big"));
        QmpConnector connector = new QmpConnector(own);
        Hypervisor hypervisor = connector.connect()) {
      assertThat(hypervisor.guests())
          .singleElement()
          .matches(it -> it.running() && it.attachment() != null);
      long total = machine.totalBytes();
      hypervisor.resizeMemory("big", 384 * MIB);
      await("it has more", () -> hypervisor.memoryStatistics("big").grantedBytes() == 384 * MIB);
      await("its system says so", () -> machine.totalBytes() == total + 128 * MIB);
      hypervisor.resizeMemory("big", 256 * MIB);
      await("it has given it back", () -> machine.totalBytes() == total);
      assertThatThrownBy(() -> hypervisor.resizeMemory("big", 1024 * MIB))
          .isInstanceOf(HypervisorException.class)
          .hasMessageContaining("with virtio-mem it has between");
      assertThatThrownBy(() -> hypervisor.limit("big", "disk", new IoLimits(MIB, 0)))
          .hasMessageContaining("none of its disks");
    }
  }
}
