package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.client.PrestageClient;
import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// The command as its users run it, against one running host.
class CommandsTest {
  private static Path folder = Path.of("");
  private static RunningHost host;

  /// What a command printed.
  private record Printed(int code, String out, String err) {}

  @BeforeAll
  static void startHost() throws IOException {
    folder = Files.createTempDirectory("pscmd");
    host = RunningHost.start(folder, RunningHost.WITH_HISTORY).awaitOk();
    prestage("vm", "add", "vm-0", "--program", "shop", "--image", RunningHost.IMAGE);
    prestage("vm", "start", "vm-0");
    try (NbdClient disk = host.disk("vm-0")) {
      for (int extent = 0; extent < 100; extent++) {
        host.readExtent(disk, extent);
      }
    }
    prestage("vm", "stop", "vm-0");
  }

  @AfterAll
  static void stopHost() throws IOException {
    host.close();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static Printed prestage(String... arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of(RunningHost.command().toString()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("PRESTAGE_API", host.api().toString());
    Path err = Files.createTempFile(folder, "err", "");
    Process process = builder.redirectError(err.toFile()).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    try {
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return new Printed(process.exitValue(), out, Files.readString(err));
  }

  @Test
  void addPrintsWhereTheDiskIsAndListShowsIt() throws IOException {
    Printed added =
        prestage("vm", "add", "vm-1", "--program", "shop", "--image", RunningHost.IMAGE);
    assertThat(added.out()).startsWith("nbd+unix:///vm-1?socket=");
    assertThat(prestage("vm", "list").out())
        .contains("vm-1", "shop", RunningHost.IMAGE, "32.0 MiB");
    assertThat(prestage("vm", "remove", "vm-1").code()).isZero();
    assertThat(prestage("vm", "list").out()).doesNotContain("vm-1");
  }

  @Test
  void aVmWithTwoDisksReadsBoth() throws IOException {
    byte[] other = new byte[3 * RunningHost.EXTENT + 512];
    new Random(1).nextBytes(other);
    Files.write(folder.resolve("images").resolve("data.raw"), other);
    Printed added =
        prestage(
            "vm",
            "add",
            "vm-2",
            "--program",
            "two",
            "--disk",
            RunningHost.IMAGE,
            "--disk",
            "data.raw");
    assertThat(added.out().lines())
        .satisfiesExactly(
            first -> assertThat(first).startsWith("nbd+unix:///vm-2?socket="),
            second -> assertThat(second).startsWith("nbd+unix:///vm-2/disk1?socket="));
    assertThat(prestage("vm", "list").out()).contains("disk1", "data.raw", "192.5 KiB");
    try (NbdClient first = host.disk("vm-2");
        NbdClient second = host.disk("vm-2/disk1")) {
      host.readExtent(first, 7);
      assertThat(second.read(0, other.length)).isEqualTo(other);
    }
    assertThat(prestage("vm", "remove", "vm-2", "--force").code()).isZero();
    assertThatThrownBy(() -> host.disk("vm-2/disk1")).isInstanceOf(IOException.class);
  }

  @Test
  void aMissingImageIsOneLineThatNamesItAndTheFolder() throws IOException {
    Printed refused = prestage("vm", "add", "vm-2", "--program", "shop", "--image", "none.raw");
    assertThat(refused.code()).isEqualTo(1);
    assertThat(refused.err().strip()).startsWith("prestage: ").hasLineCount(1);
    assertThat(refused.err()).contains("none.raw", folder.resolve("images").toString());
  }

  @Test
  void whatWasLearntIsForecastAndAllocatedAheadOfTheStart() throws IOException {
    assertThat(prestage("forecast", "vm-0").out()).contains(RunningHost.IMAGE + "/0", "run-set");
    assertThat(prestage("allocate", "vm-0").out()).contains("0 units planned");
  }

  @Test
  void leasesAddUp() throws IOException {
    assertThat(prestage("leases").out()).containsPattern("granted [0-9]+ units = [0-9]+ live");
  }

  @Test
  void theSwitchIsSeenInHealth() throws IOException {
    assertThat(prestage("predict", "off").code()).isZero();
    assertThat(prestage("health").out()).containsPattern("predicting +off");
    assertThat(prestage("predict", "on").code()).isZero();
    assertThat(prestage("health").out()).containsPattern("predicting +on");
    assertThat(prestage("predict", "sideways").code()).isEqualTo(2);
  }

  @Test
  void aModelGoesOutAndComesBack() throws IOException {
    Path file = folder.resolve("shop.model");
    assertThat(prestage("model", "export", "shop", file.toString()).code()).isZero();
    assertThat(prestage("model", "import", file.toString()).out())
        .contains("1 runs, 100 resources");
    Files.writeString(file, "not a model");
    Printed refused = prestage("model", "import", file.toString());
    assertThat(refused.code()).isEqualTo(1);
    assertThat(refused.err()).contains("not a Prestage model");
  }

  private static void awaitHistory() throws IOException {
    host.await(
        "all accesses are kept",
        () -> {
          try {
            return host.get("/v1/history?vm=vm-0&limit=1000").path("rows").size() == 100;
          } catch (IOException e) {
            return false;
          }
        });
  }

  @Test
  void historyIsATable() throws IOException {
    awaitHistory();
    assertThat(prestage("history", "--vm", "vm-0", "--limit", "3").out().lines()).hasSize(4);
    assertThat(prestage("history", "--vm", "vm-0", "--limit", "3").out())
        .containsPattern("20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]T.*" + RunningHost.IMAGE);
  }

  @Test
  void historyAddsUpWhatTheVmTouched() throws IOException {
    awaitHistory();
    assertThat(prestage("history", "top", "--vm", "vm-0", "--by", "vm").out())
        .containsPattern("\nvm-0 +100 ")
        .contains("100 touches in all");
    assertThat(prestage("history", "top", "--vm", "vm-0", "--limit", "3").out())
        .contains("file-block:" + RunningHost.IMAGE + "/0 ");
    assertThat(prestage("history", "sequences", "--vm", "vm-0").out())
        .as("100 extents one after the other")
        .containsPattern("64 to 127 +1 +100\n")
        .containsPattern("\n +1 +99 +100.0 %");
    assertThat(prestage("history", "transitions", "--vm", "vm-0", "--json").out())
        .contains("\"transitions\":99,");
    assertThat(prestage("history", "timeline", "--vm", "vm-0").out()).startsWith("FROM ");
    Path file = folder.resolve("export.csv");
    assertThat(prestage("history", "export", "--vm", "vm-0", "--output", file.toString()).code())
        .isZero();
    assertThat(Files.readAllLines(file)).hasSize(101);
    assertThat(prestage("history", "export", "--vm", "vm-0").out())
        .isEqualTo(Files.readString(file));
  }

  @Test
  void everyAccessIsInHistoryWithItsNames() throws IOException {
    awaitHistory();
    JsonNode row = host.get("/v1/history?program=shop&limit=1000").path("rows").get(1);
    assertThat(row.path("vm").asText()).isEqualTo("vm-0");
    assertThat(row.path("resource").asLong()).isEqualTo(1);
    assertThat(row.path("sizeBytes").asInt()).isEqualTo(RunningHost.EXTENT);
    assertThat(row.path("latencyNanos").asLong()).isPositive();
  }

  @Test
  void aSecondHostOnTheSameFolderIsRefusedInOneLineAndTheFirstGoesOn() throws IOException {
    Printed second = prestage("run", "--config", folder.resolve("prestage.yaml").toString());
    assertThat(second.code()).isEqualTo(2);
    assertThat(second.err()).containsPattern("cannot start: .*\\(pid [0-9]+\\)");
    assertThat(host.state()).isEqualTo("ok");
  }

  @Test
  void aFileThatIsNotThereIsOneLineWithTheReason() throws IOException {
    Printed refused = prestage("model", "import", folder.resolve("none").toString());
    assertThat(refused.code()).isEqualTo(1);
    assertThat(refused.err().strip()).endsWith("there is no such file or folder").hasLineCount(1);
  }

  @Test
  void anAllocationIsRefusedWhilePredictingIsOff() throws IOException {
    prestage("predict", "off");
    Printed refused = prestage("allocate", "vm-0");
    prestage("predict", "on");
    assertThat(refused.code()).isEqualTo(1);
    assertThat(refused.err()).contains("predicting is off");
  }

  @Test
  void tiersTellWhatTheyHoldAndMay() throws IOException {
    JsonNode tier = host.get("/v1/tiers").path("tiers").get(0);
    // What was read, and what was staged beyond it.
    assertThat(tier.path("usedBytes").asLong())
        .isBetween(100L * RunningHost.EXTENT, (long) RunningHost.EXTENTS * RunningHost.EXTENT);
    assertThat(prestage("tiers").out())
        .containsPattern(tier.path("name").asText() + " +ssd +8.0 GiB +[0-9.]+ [KM]iB");
  }

  @Test
  void aPurgedImageIsFetchedAgainWhenItIsRead() throws IOException {
    prestage("vm", "add", "vm-p", "--program", "p", "--tenant", "p", "--image", RunningHost.IMAGE);
    try (NbdClient disk = host.disk("vm-p")) {
      host.readExtent(disk, 1);
      assertThat(prestage("image", "purge", RunningHost.IMAGE, "--tenant", "p").out())
          .startsWith(RunningHost.EXTENT + " bytes");
      host.readExtent(disk, 1);
      assertThat(prestage("image", "purge", RunningHost.IMAGE, "--tenant", "p").out())
          .startsWith(RunningHost.EXTENT + " bytes");
    }
    assertThat(prestage("vm", "remove", "vm-p", "--force").code()).isZero();
  }

  private static boolean isOneConnectionReported(String vm) {
    try (PrestageClient client = host.client()) {
      return client.get("/metrics").text().contains("disk_connections{vm=\"" + vm + "\"} 1\n");
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void aVmWhoseDiskIsReadIsRemovedOnlyByForce() throws IOException {
    prestage("vm", "add", "vm-r", "--program", "shop", "--image", RunningHost.IMAGE);
    try (NbdClient disk = host.disk("vm-r")) {
      host.await("the connection is known", () -> isOneConnectionReported("vm-r"));
      Printed refused = prestage("vm", "remove", "vm-r");
      assertThat(refused.code()).isEqualTo(1);
      assertThat(refused.err().strip()).startsWith("prestage: ").hasLineCount(1);
      assertThat(refused.err()).contains("vm-r", "1 open NBD connection", "--force");
      host.readExtent(disk, 0);
      assertThat(prestage("vm", "remove", "vm-r", "--force").code()).isZero();
      assertThatThrownBy(() -> host.readExtent(disk, 0)).isInstanceOf(IOException.class);
    }
    assertThat(prestage("vm", "list").out()).doesNotContain("vm-r");
  }

  @Test
  void metricsCountWhatGuestsReadAndWhatTheOriginGave() throws IOException {
    assertThat(prestage("metrics").out().lines())
        .contains(
            "prestage_demand_reads_total{vm=\"vm-0\"} 100",
            "prestage_demand_bytes_total{vm=\"vm-0\"} " + 100L * RunningHost.EXTENT,
            "prestage_disk_served{vm=\"vm-0\"} 1",
            "prestage_origin_errors_total{origin=\"nas\"} 0");
  }

  @Test
  void withoutAHostThereIsOneLineThatNamesTheSocket() throws IOException {
    Path nowhere = folder.resolve("nowhere.sock");
    Printed refused = prestage("health", "--api", nowhere.toString());
    assertThat(refused.code()).isEqualTo(1);
    assertThat(refused.err().strip()).startsWith("prestage: ").hasLineCount(1);
    assertThat(refused.err()).contains(nowhere.toString());
  }

  @Test
  void aWrongConfigurationEndsTheStartWithItsPlace() throws IOException {
    Path file = Files.writeString(folder.resolve("wrong.yaml"), "tier:\n  colour: red\n");
    Printed refused = prestage("run", "--config", file.toString());
    assertThat(refused.code()).isEqualTo(2);
    assertThat(refused.err()).contains("wrong.yaml:2:3: unknown key 'tier.colour'");
  }
}
