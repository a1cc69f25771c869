package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// A network that is trained from history by the whole product, in a process of its own.
class TrainingHostTest {
  private static final int ROUNDS = 450;
  private static final int HEADS = 3;

  private Path folder = Path.of("");

  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory("pstest");
  }

  @AfterEach
  void removeFolder() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  /// A program whose first read of each round decides the last one.
  private static void run(RunningHost host) throws IOException {
    Random random = new Random(2);
    try (NbdClient disk = host.disk("vm-1")) {
      for (int round = 0; round < ROUNDS; round++) {
        int head = random.nextInt(HEADS);
        host.readExtent(disk, 10 * head);
        for (int i = 0; i < 4; i++) {
          host.readExtent(disk, 100 + 10 * random.nextInt(3));
        }
        host.readExtent(disk, 200 + 10 * head);
      }
    }
  }

  private static JsonNode model(RunningHost host) {
    try {
      return host.get("/v1/models").path("models").path(0);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static long touches(RunningHost host) {
    try {
      return host.get("/v1/history/top?by=program").path("touches").asLong();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String training(RunningHost host) {
    return model(host).path("training").path("state").asText();
  }

  @Test
  void programIsTrainedFromHistoryAndServedByWhatWasLearnt() throws IOException {
    String settings = RunningHost.WITH_HISTORY;
    byte[] image;
    try (RunningHost host = RunningHost.start(folder, "latency: 0ms", settings).awaitOk()) {
      image = host.image;
      host.register("vm-1", "web");
      host.post("/v1/vms/vm-1/start", "");
      run(host);
      host.post("/v1/vms/vm-1/stop", "");
      host.await("history has it", () -> touches(host) >= ROUNDS * 6);
      host.post("/v1/models/web/training", "");
      host.await(
          "the training ends",
          () -> training(host).equals("serving") || training(host).equals("failed"));
      assertThat(model(host).path("training").path("line").asText())
          .matches("[0-9.]+ bits a request on the newest tenth; it is the first");
      assertThat(model(host).path("network").asBoolean()).isTrue();
      assertThat(model(host).path("runs").asInt()).isEqualTo(1);
    }
    try (RunningHost host = RunningHost.restart(folder, image).awaitOk()) {
      host.register("vm-1", "web");
      host.post("/v1/vms/vm-1/start", "");
      host.await("the model is read", () -> model(host).path("network").asBoolean());
      assertThat(host.get("/v1/vms/vm-1/forecast").path("resources")).isNotEmpty();
    }
  }
}
