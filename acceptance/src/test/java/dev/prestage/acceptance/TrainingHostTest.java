package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// A network that is trained from history by the whole product, in a process of its own.
class TrainingHostTest {
  private static final int ROUNDS = 450;
  private static final int HEADS = 3;

  /// As many that the trainer has enough requests of them, and that more starts than a drift needs
  /// were foreseen: the first was not.
  private static final int USUAL_STARTS = 8;

  private static final int ROUNDS_OF_A_START = 60;

  /// As many in a row make a drift.
  private static final int CHANGED_STARTS = 3;

  private static final int USUAL = 0;
  private static final int CHANGED = 250;
  private static final Pattern BITS =
      Pattern.compile(
          "([0-9.]+) bits a request on the newest tenth; the one before had ([0-9.]+) bits");

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

  /// The trainer is an optional part.
  private static void assumeTrainer() {
    Path trainer = Path.of(System.getProperty("prestage.home"), "trainer/target");
    assumeThat(trainer.resolve("trainer.jar"))
        .as("the trainer is not installed; tools/trainer builds it")
        .exists();
    assumeThat(trainer.resolve("lib"))
        .as("the trainer is not installed; tools/trainer builds it")
        .exists();
  }

  /// A start of a program that reads in rounds: a head, fillers in any order, and a tail that the
  /// head decides, all of them from one extent on.
  private static void start(RunningHost host, int first, Random random) throws IOException {
    long before = touches(host);
    host.post("/v1/vms/vm-1/start", "");
    try (NbdClient disk = host.disk("vm-1")) {
      for (int round = 0; round < ROUNDS_OF_A_START; round++) {
        int head = random.nextInt(HEADS);
        host.readExtent(disk, first + 10 * head);
        for (int i = 0; i < 4; i++) {
          host.readExtent(disk, first + 50 + 10 * random.nextInt(3));
        }
        host.readExtent(disk, first + 100 + 10 * head);
      }
    }
    host.post("/v1/vms/vm-1/stop", "");
    host.await("history has it", () -> touches(host) >= before + ROUNDS_OF_A_START * 6);
  }

  private static List<JsonNode> versions(RunningHost host) {
    try {
      List<JsonNode> versions = new ArrayList<>();
      host.get("/v1/models/web/versions").path("versions").forEach(versions::add);
      return versions;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static long trained(RunningHost host) {
    return versions(host).stream()
        .filter(version -> version.path("how").asText().equals("trained"))
        .count();
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
    assumeTrainer();
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

  /// Nobody asks for the second training: the program's starts are foreseen worse, and the network
  /// that comes of it foresees the newest requests better than the one that serves.
  @Test
  void programThatChangesIsTrainedAgainByItselfAndTheBetterNetworkServes() throws IOException {
    assumeTrainer();
    Random random = new Random(5);
    try (RunningHost host =
        RunningHost.start(folder, "latency: 0ms", RunningHost.WITH_HISTORY).awaitOk()) {
      host.register("vm-1", "web");
      for (int run = 0; run < USUAL_STARTS; run++) {
        start(host, USUAL, random);
      }
      host.post("/v1/models/web/training", "");
      host.await("the first network serves", () -> trained(host) == 1);
      for (int run = 0; run < CHANGED_STARTS; run++) {
        start(host, CHANGED, random);
      }
      host.await("another network serves", () -> trained(host) == 2);
      assertThat(versions(host))
          .extracting(version -> version.path("how").asText())
          .containsExactly("trained", "trained", "learnt");
      String line = versions(host).getFirst().path("line").asText();
      Matcher bits = BITS.matcher(line);
      assertThat(bits.matches()).as(line).isTrue();
      assertThat(Double.parseDouble(bits.group(1)))
          .as(line)
          .isLessThan(Double.parseDouble(bits.group(2)));
      assertThat(versions(host).getFirst().path("dataTo").asText())
          .isGreaterThan(versions(host).get(1).path("dataTo").asText());
      assertThat(model(host).path("network").asBoolean()).isTrue();
      JsonNode diff = host.get("/v1/models/web/diff?from=1&to=3").path("types").path(0);
      assertThat(diff.path("fromNetwork").asBoolean()).isFalse();
      assertThat(diff.path("toNetwork").asBoolean()).isTrue();
      assertThat(diff.path("toRuns").asInt()).isEqualTo(USUAL_STARTS + CHANGED_STARTS);
    }
  }
}
