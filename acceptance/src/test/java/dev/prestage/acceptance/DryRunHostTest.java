package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.client.PrestageClient;
import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A host that stages in its books only.
class DryRunHostTest {
  private static final int TOUCHED = 120;

  /// Nobody can foretell one from another in the first run.
  private static final int[] PLACES =
      new Random(4).ints(0, RunningHost.EXTENTS).distinct().limit(TOUCHED).toArray();

  @TempDir Path folder;

  private static void run(RunningHost host) throws IOException {
    host.post("/v1/vms/vm-1/start", "{}");
    try (NbdClient disk = host.disk("vm-1")) {
      for (int extent : PLACES) {
        host.readExtent(disk, extent);
      }
    }
    host.post("/v1/vms/vm-1/stop", "{}");
  }

  private static JsonNode row(RunningHost host) {
    return get(host, "/v1/report").path("rows").path(0);
  }

  private static JsonNode tier(RunningHost host) {
    return get(host, "/v1/tiers").path("tiers").path(0);
  }

  private static JsonNode get(RunningHost host, String path) {
    try {
      return host.get(path);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static long useful(JsonNode row) {
    return row.path("outcomes").path("useful").asLong();
  }

  private static boolean isCounted(JsonNode row, int touches) {
    return row.path("touches").asLong() == touches
        && row.path("waited").asLong() + useful(row) == touches;
  }

  private static void purge(RunningHost host) throws IOException {
    try (PrestageClient client = host.client()) {
      assertThat(client.delete("/v1/images/" + RunningHost.IMAGE).status()).isEqualTo(200);
    }
  }

  @Test
  void itSaysWhatStagingWouldBeWorthAndStagesNothing() throws Exception {
    String dry = "predict: {dryRun: true, controls: 0.05}\n";
    try (RunningHost host = RunningHost.start(folder, "latency: 5ms", dry).awaitOk()) {
      assertThat(host.get("/health").path("dryRun").asBoolean()).isTrue();
      host.register("vm-1", "web");
      run(host);
      host.await("each touch waits or would not", () -> isCounted(row(host), TOUCHED));
      long before = useful(row(host));
      purge(host);
      run(host);
      host.await("each touch waits or would not", () -> isCounted(row(host), 2 * TOUCHED));
      assertThat(useful(row(host)) - before)
          .as("of the second run, what would have been there")
          .isGreaterThan(TOUCHED * 2L / 3);
      host.await(
          "guests waited for all, twice",
          () -> tier(host).path("demandedBytes").asLong() == 2L * TOUCHED * RunningHost.EXTENT);
      assertThat(tier(host).path("stagedBytes").asLong()).isZero();
      assertThat(host.get("/v1/report").path("controls").isEmpty()).isTrue();
    }
  }
}
