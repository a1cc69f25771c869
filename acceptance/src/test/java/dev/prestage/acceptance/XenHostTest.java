package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.control.vm.MemoryStatistics;
import dev.prestage.control.vm.xen.XenConnector;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Paravirtual domains of a real Xen. Booting it takes half a minute where QEMU has a processor of
/// its own: only `./check --all` does.
@Tag("xen")
class XenHostTest {
  private static final long MIB = 1 << 20;
  private static final Duration DEADLINE = Duration.ofSeconds(60);

  @TempDir static Path hostFolder;

  private static XenHost xen;

  @TempDir Path folder;

  @BeforeAll
  @Timeout(value = 10, unit = TimeUnit.MINUTES)
  static void boot() throws Exception {
    xen = XenHost.start(hostFolder);
  }

  @AfterAll
  static void shutDown() {
    if (xen != null) {
      xen.close();
    }
  }

  @AfterEach
  void endDomains() throws Exception {
    xen.did("for n in $(xl list | awk '$2 > 0 {print $2}' | tail -n +2); do xl destroy $n; done");
  }

  private RunningHost prestage(String more) throws IOException {
    return RunningHost.start(
        folder,
        "xen: {enabled: true, through: [\"%s\"], leastMemory: 64MiB, deadline: 60s}\n"
                .formatted(xen.dom0)
            + more);
  }

  private static boolean runs(RunningHost host, String vm) {
    try {
      for (JsonNode each : host.get("/v1/vms").path("vms")) {
        if (each.path("vm").asText().equals(vm)) {
          return each.path("running").asBoolean();
        }
      }
      return false;
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void aLabelledDomainIsRegisteredAndItsStartsAndStopsAreFollowed() throws Exception {
    try (RunningHost host = prestage("").awaitOk()) {
      xen.create("web", "shop", "");
      xen.await("its start is seen", () -> runs(host, "web"));
      assertThat(host.get("/v1/vms").toString()).contains("\"shop\"");
      xen.did("xl destroy web");
      xen.await("its stop is seen", () -> !runs(host, "web"));
      xen.did("xl create /tmp/web.cfg");
      xen.await("its second start is seen", () -> runs(host, "web"));
      assertThat(host.state()).isEqualTo("ok");
    }
  }

  @Test
  void theMemoryOfAGuestIsWhatItIsGiven() throws Exception {
    xen.create("db", "db", "");
    try (Hypervisor hypervisor = new XenConnector(xen.through(xen.dom0, DEADLINE)).connect()) {
      xen.await("the guest says what it has", () -> xen.memTotal("db") > 0);
      xen.await("and what it uses", () -> statistics(hypervisor).unusedBytes() > 0);
      MemoryStatistics before = statistics(hypervisor);
      assertThat(before.grantedBytes()).isEqualTo(160 * MIB);
      assertThat(before.unusedBytes()).isLessThan(160 * MIB);
      long total = xen.memTotal("db");
      hypervisor.resizeMemory("db", 220 * MIB);
      xen.await("it has 60 MiB more", () -> xen.memTotal("db") == total + 60 * 1024);
      xen.await("the host says so, too", () -> statistics(hypervisor).grantedBytes() == 220 * MIB);
      hypervisor.resizeMemory("db", 150 * MIB);
      xen.await("it has 10 MiB less", () -> xen.memTotal("db") == total - 10 * 1024);
      hypervisor.resizeMemory("db", 4096 * MIB);
      xen.await(
          "it has what it may have", () -> statistics(hypervisor).grantedBytes() == 256 * MIB);
      xen.did("xl destroy db");
      assertThatThrownBy(() -> hypervisor.resizeMemory("db", 200 * MIB))
          .isInstanceOfSatisfying(HypervisorException.class, e -> assertThat(e.isGone()).isTrue());
    }
  }

  /// What past runs used is written as Prestage keeps it: 75 MiB for 90 s, then 140 MiB.
  @Test
  void theMemoryOfAGuestFollowsItsForecast() throws Exception {
    String levels =
        IntStream.range(0, 100)
            .mapToObj(slot -> slot < 18 ? "75" : "140")
            .collect(Collectors.joining(","));
    String sizing = "guestMemory: {enabled: true, floor: 64MiB, ahead: 15s}\n";
    prestage(sizing).awaitOk().close();
    Files.writeString(
        folder.resolve("state/guest-memory/xen-runs"),
        "#slot-ns 5000000000\nshop " + levels + "\nshop " + levels + "\n");
    try (RunningHost host = prestage(sizing).awaitOk()) {
      xen.create("web", "shop", "");
      xen.await("the guest says what it has", () -> xen.memTotal("web") > 0);
      long whole = xen.memTotal("web");
      xen.await("unused memory is taken back", () -> xen.memTotal("web") < whole - 20 * 1024);
      // Of 160 MiB, 140 and a tenth more; 4 MiB less are not worth a change.
      xen.await("what was used then is there", () -> xen.memTotal("web") >= whole - 10 * 1024);
      assertThat(host.state()).isEqualTo("ok");
    }
  }

  private static MemoryStatistics statistics(Hypervisor hypervisor) {
    try {
      return hypervisor.memoryStatistics("db");
    } catch (HypervisorException e) {
      throw new AssertionError(e);
    }
  }

  /// The way of a byte: the guest's blkfront, dom0's blkback, dom0's NBD client, our server.
  @Test
  void aGuestReadsItsDiskThroughPrestageAndWhatItReadIsInHistory() throws Exception {
    int port = XenHost.freePort();
    String more = RunningHost.WITH_HISTORY + "nbd: {tcp: \"127.0.0.1:%d\"}\n".formatted(port);
    try (RunningHost host = prestage(more).awaitOk()) {
      host.register("web", "shop");
      xen.did("nbd-client -N web 10.0.2.2 " + port + " /dev/nbd0");
      try {
        xen.create("web", "shop", "disk=[\"phy:/dev/nbd0,xvda,r\"]");
        xen.await("the guest has read", () -> xen.console("web").contains("DISK "));
        byte[] read = Arrays.copyOf(host.image, 4 << 20);
        String digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(read));
        assertThat(xen.console("web")).contains("DISK " + digest);
        xen.await("its run is seen", () -> runs(host, "web"));
        host.await("what it read is in history", () -> blocksInHistory(host) >= 4 << 20);
      } finally {
        xen.did("xl destroy web; nbd-client -d /dev/nbd0");
      }
    }
  }

  private static long blocksInHistory(RunningHost host) {
    try {
      long bytes = 0;
      for (JsonNode row : host.get("/v1/history?vm=web&limit=10000").path("rows")) {
        boolean demanded = row.path("cause").asText().equals("DEMAND");
        if (demanded && row.path("type").asText().equals("file-block")) {
          bytes += row.path("sizeBytes").asLong();
        }
      }
      return bytes;
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void whatIsNotPermittedAndWhatTakesTooLongIsSaidInOneLine() throws Exception {
    xen.create("db", "db", "");
    Path mayNot =
        XenHost.script(
            folder,
            "may-not",
            "#!/bin/sh\ncase \"$*\" in \"xl mem-set\"*) set -- setpriv --reuid=1000 \"$@\" ;; esac\nexec '%s' \"$@\"\n"
                .formatted(xen.dom0));
    try (Hypervisor hypervisor = new XenConnector(xen.through(mayNot, DEADLINE)).connect()) {
      assertThatThrownBy(() -> hypervisor.resizeMemory("db", 200 * MIB))
          .message()
          .startsWith("the memory of 'db' stays: ")
          .contains("Permission denied")
          .doesNotContain("\n");
      assertThat(hypervisor.guests()).hasSize(1);
    }
    Duration tooShort = Duration.ofMillis(20);
    assertThatThrownBy(() -> new XenConnector(xen.through(xen.dom0, tooShort)).connect())
        .message()
        .endsWith("xl list' did not end within 20 ms and was killed");
  }
}
