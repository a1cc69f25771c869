package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.prestage.client.ApiEvent;
import dev.prestage.client.PrestageClient;
import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// An image of which all is brought to the host, until its VM needs no origin any more.
class FillHostTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String FILL = "fill: {enabled: true, rate: 64MiB/s, amplification: none}\n";

  /// Images are looked at every two seconds.
  private static final Duration LOOKS = Duration.ofSeconds(3);

  @TempDir Path folder;

  @Test
  void aVmWhoseImageIsCompleteOutlivesItsOrigin() throws Exception {
    List<ApiEvent> events = new CopyOnWriteArrayList<>();
    String more = FILL + "tier: {capacity: 128MiB}\n";
    try (RunningHost host = RunningHost.start(folder, more).awaitOk();
        PrestageClient client = host.client()) {
      Thread follower = Thread.ofVirtual().start(() -> follow(client, events));
      host.register("vm-1", "unknown");
      try (NbdClient disk = host.disk("vm-1")) {
        host.readExtent(disk, 100);
      }
      host.await("it is complete", () -> completes(events).size() == 1);
      JsonNode complete = completes(events).getFirst();
      assertThat(complete.path("vm").asText()).isEqualTo("vm-1");
      assertThat(complete.path("program").asText()).isEqualTo("unknown");
      assertThat(complete.path("as").asText()).isEqualTo("disk0");
      assertThat(complete.path("space").asText()).isEqualTo(RunningHost.IMAGE);
      assertThat(complete.path("bytes").asLong()).isEqualTo(host.image.length);
      JsonNode fill = host.get("/v1/vms/vm-1").path("resources").path(0).path("fill");
      assertThat(fill.path("complete").asBoolean()).isTrue();
      assertThat(fill.path("heldBytes").asLong()).isEqualTo(host.image.length);
      assertThat(fill.path("etaSeconds").asDouble(-1)).isZero();
      JsonNode tier = host.get("/v1/tiers").path("tiers").path(0);
      assertThat(
              tier.path("filledBytes").asLong()
                  + tier.path("demandedBytes").asLong()
                  + tier.path("stagedBytes").asLong())
          .isEqualTo(host.image.length);
      assertThat(tier.path("filledBytes").asLong()).isPositive();

      // One that comes later on the same image depends on nothing from the start.
      host.register("vm-2", "unknown");
      host.await("it is said of that one, too", () -> completes(events).size() == 2);
      assertThat(completes(events).getLast().path("vm").asText()).isEqualTo("vm-2");

      destroyOrigin();
      // For longer than it takes to look whether images are still what they were.
      long end = System.nanoTime() + LOOKS.toNanos();
      do {
        readAll(host, "vm-1");
        readAll(host, "vm-2");
      } while (System.nanoTime() < end);
      assertThat(host.state()).isEqualTo("ok");
      follower.interrupt();
      follower.join();
    }
  }

  private static void readAll(RunningHost host, String vm) throws IOException {
    try (NbdClient disk = host.disk(vm)) {
      for (int extent = 0; extent < RunningHost.EXTENTS; extent++) {
        host.readExtent(disk, extent);
      }
    }
  }

  /// The image's bytes are gone also for those who have it open, and so is its folder.
  private void destroyOrigin() throws IOException {
    Path images = folder.resolve("images");
    try (FileChannel image =
        FileChannel.open(images.resolve(RunningHost.IMAGE), StandardOpenOption.WRITE)) {
      image.truncate(0);
    }
    Files.delete(images.resolve(RunningHost.IMAGE));
    Files.delete(images);
  }

  private static void follow(PrestageClient client, List<ApiEvent> events) {
    try {
      client.events(null, events::add);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static List<JsonNode> completes(List<ApiEvent> events) {
    return events.stream()
        .filter(event -> event.kind().equals("complete"))
        .map(event -> {
          try {
            return JSON.readTree(event.data());
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        })
        .toList();
  }
}
