package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A program's burst on the link to its origin through the whole product: learnt in one run,
/// promised before the next, whose bytes are others.
class BandwidthHostTest {
  /// Of a link of 64 MiB/s with 64 levels, half a second of four levels.
  private static final int BURST_EXTENTS = 32;

  private static final int LEVELS = 4;

  private @TempDir Path folder;

  private static String prestage(RunningHost host, String... arguments) {
    List<String> command = new ArrayList<>(List.of(RunningHost.command().toString()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("PRESTAGE_API", host.api().toString());
    try {
      Process process = builder.start();
      String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).as(out).isZero();
      return out;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted", e);
    }
  }

  private static long metric(RunningHost host, String name) {
    Matcher line =
        Pattern.compile("prestage_" + name + "\\{[^}]*} ([0-9]+)")
            .matcher(prestage(host, "metrics"));
    return line.find() ? Long.parseLong(line.group(1)) : -1;
  }

  /// One read, so that all of it is asked for in one window.
  private static void burst(RunningHost host, int extent) throws IOException {
    int from = extent * RunningHost.EXTENT;
    int length = BURST_EXTENTS * RunningHost.EXTENT;
    try (NbdClient disk = host.disk("job-1")) {
      assertThat(disk.read(from, length))
          .isEqualTo(Arrays.copyOfRange(host.image, from, from + length));
    }
  }

  private static long live(RunningHost host) {
    try {
      return host.get("/v1/leases?limit=1").path("account").path("live").asLong();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void burstOfOneRunIsPromisedBeforeTheNext() throws IOException {
    String configuration = RunningHost.WITH_HISTORY + "stage: {reclaimAfter: 5s}\n";
    try (RunningHost host =
        RunningHost.start(folder, "latency: 2ms", "64MiB/s", configuration).awaitOk()) {
      assertThat(
              prestage(
                  host,
                  "vm",
                  "add",
                  "job-1",
                  "--program",
                  "job",
                  "--disk",
                  RunningHost.IMAGE,
                  "--resource",
                  "link=io-bandwidth:nas"))
          .contains("link:nas");
      assertThat(prestage(host, "vm", "list")).contains("link:nas", "64.0 MiB/s");
      prestage(host, "vm", "start", "job-1");
      burst(host, 0);
      host.await(
          "history has the levels",
          () -> {
            String rows = prestage(host, "history", "--vm", "job-1");
            return rows.contains("nas/" + (LEVELS - 1)) && rows.contains("RELEASE");
          });
      prestage(host, "vm", "stop", "job-1");
      assertThat(metric(host, "bandwidth_levels_reached_total")).isEqualTo(LEVELS);
      assertThat(metric(host, "bandwidth_levels_unpromised_total")).isEqualTo(LEVELS);
      assertThat(prestage(host, "forecast", "job-1", "--limit", "100"))
          .contains("io-bandwidth:nas/0");
      prestage(host, "vm", "start", "job-1");
      host.await("levels are promised", () -> metric(host, "bandwidth_promised") >= LEVELS << 20);
      assertThat(prestage(host, "leases")).contains("nas");
      burst(host, 300);
      host.await(
          "the burst is counted",
          () -> metric(host, "bandwidth_levels_reached_total") == 2 * LEVELS);
      assertThat(metric(host, "bandwidth_levels_unpromised_total"))
          .as("all was promised the second time")
          .isEqualTo(LEVELS);
      host.await("what is unused comes back", () -> metric(host, "link_promised_bytes") == 0);
      prestage(host, "vm", "stop", "job-1");
      prestage(host, "vm", "remove", "job-1", "--force");
      host.await("all units have ended", () -> live(host) == 0);
    }
  }
}
