package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.client.ApiException;
import dev.prestage.client.PrestageClient;
import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What was learnt about a program, lost and brought back, on hosts as users have them.
class ModelHostTest {
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

  /// A run that touches 24 extents from one on, and two of its own. It ends when history has it.
  private static void run(RunningHost host, int first, int own) throws IOException {
    long before = touches(host);
    host.post("/v1/vms/vm-1/start", "");
    try (NbdClient disk = host.disk("vm-1")) {
      for (int i = 0; i < 24; i++) {
        host.readExtent(disk, first + 3 * i);
      }
      host.readExtent(disk, own);
      host.readExtent(disk, own + 2);
    }
    host.await("history has it", () -> touches(host) >= before + 26);
    host.post("/v1/vms/vm-1/stop", "");
  }

  private static long touches(RunningHost host) {
    return get(host, "/v1/history/top?by=program").path("touches").asLong();
  }

  private static JsonNode get(RunningHost host, String path) {
    try {
      return host.get(path);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// What a start is expected to touch, in the order of the forecast, with its probability.
  private static List<String> forecast(RunningHost host) {
    List<String> expected = new ArrayList<>();
    get(host, "/v1/vms/vm-1/forecast")
        .path("resources")
        .forEach(each ->
            expected.add(
                each.path("resource").asText()
                    + " "
                    + each.path("probability").asText()
                    + " "
                    + each.path("experts")));
    return expected;
  }

  private static String training(RunningHost host) {
    JsonNode training = get(host, "/v1/models").path("models").path(0).path("training");
    return training.path("state").asText() + ": " + training.path("line").asText();
  }

  private static String refused(RunningHost host, String path) throws IOException {
    try (PrestageClient client = host.client()) {
      return client.post(path, "").text();
    } catch (ApiException e) {
      return e.getMessage() + "";
    }
  }

  private Path model() {
    return folder.resolve("state/models/default/web.model");
  }

  @Test
  void modelDeletedByHandIsLearntAgainFromHistoryAndForecastsTheSame() throws IOException {
    byte[] image;
    try (RunningHost host =
        RunningHost.start(folder, "latency: 0ms", RunningHost.WITH_HISTORY).awaitOk()) {
      image = host.image;
      host.register("vm-1", "web");
      assertThat(refused(host, "/v1/models/other/rebuild"))
          .contains("no program 'other' was ever registered here");
      assertThat(refused(host, "/v1/models/web/rebuild"))
          .contains("history has no access of program 'web'");
      run(host, 100, 10);
      run(host, 100, 20);
      run(host, 103, 30);
    }
    List<String> learnt;
    try (RunningHost host = RunningHost.restart(folder, image).awaitOk()) {
      learnt = forecast(host);
      assertThat(learnt).hasSizeGreaterThan(26);
    }
    Files.delete(model());
    try (RunningHost host = RunningHost.restart(folder, image).awaitOk()) {
      assertThat(forecast(host)).isEmpty();
      host.post("/v1/models/web/rebuild", "");
      host.await("it is learnt again", () -> training(host).startsWith("rebuil"));
      host.await("it is learnt again", () -> !training(host).startsWith("rebuilding"));
      assertThat(training(host)).isEqualTo("rebuilt: from 78 accesses of 3 runs");
      assertThat(forecast(host)).isEqualTo(learnt);
    }
    try (RunningHost host = RunningHost.restart(folder, image).awaitOk()) {
      assertThat(forecast(host)).isEqualTo(learnt);
      host.post("/v1/models/web/rebuild", "");
      host.await("it is learnt again", () -> training(host).startsWith("rebuilt"));
      assertThat(versions(host)).containsExactly("2 rebuilt", "1 rebuilt");
      host.post("/v1/models/web/rollback?version=1", "");
      assertThat(versions(host)).containsExactly("3 rolled-back", "2 rebuilt", "1 rebuilt");
      ProcessHandle killed = host.plane("control-plane");
      killed.destroyForcibly();
      host.awaitSuccessor(killed, "control-plane");
      host.awaitOk();
      assertThat(forecast(host)).isEqualTo(learnt);
      assertThat(versions(host)).containsExactly("3 rolled-back", "2 rebuilt", "1 rebuilt");
    }
  }

  /// A host with the same image, the models that lie beside it, and nothing of its own.
  private Path second(String name, Path models, byte[] image) throws IOException {
    Path second = Files.createDirectories(folder.resolve(name));
    Files.createDirectories(second.resolve("images"));
    Files.write(second.resolve("images").resolve(RunningHost.IMAGE), image);
    Files.writeString(
        second.resolve("prestage.yaml"),
        "state: state\norigins:\n  - {name: nas, directory: images, models: "
            + models
            + ", faults: {latency: 2ms}}\nhistory: {enabled: false}\n");
    return second;
  }

  private static long outcome(RunningHost host, String outcome) {
    return get(host, "/v1/leases").path("account").path("outcomes").path(outcome).asLong();
  }

  @Test
  void secondHostForecastsItsFirstStartFromTheModelBesideTheImage() throws IOException {
    byte[] image;
    byte[] model;
    List<String> learnt;
    try (RunningHost host =
        RunningHost.start(folder, "latency: 0ms", RunningHost.WITH_HISTORY).awaitOk()) {
      image = host.image;
      host.register("vm-1", "web");
      run(host, 100, 10);
      run(host, 100, 10);
      try (PrestageClient client = host.client()) {
        model = client.getBytes("/v1/models/web");
      }
    }
    try (RunningHost host = RunningHost.restart(folder, image).awaitOk()) {
      learnt = forecast(host);
      assertThat(learnt).hasSize(26);
    }
    Path models = Files.createDirectories(folder.resolve("models"));
    Files.write(models.resolve("web.model"), model);
    try (RunningHost host = RunningHost.restart(second("second", models, image), image).awaitOk()) {
      host.register("vm-1", "web");
      assertThat(forecast(host)).isEqualTo(learnt);
      host.post("/v1/vms/vm-1/start", "");
      host.await(
          "all is staged before the guest asks",
          () ->
              get(host, "/v1/tiers").path("tiers").path(0).path("usedBytes").asLong()
                  >= 26L * RunningHost.EXTENT);
      try (NbdClient disk = host.disk("vm-1")) {
        for (int i = 0; i < 24; i++) {
          host.readExtent(disk, 100 + 3 * i);
        }
      }
      host.await("they were useful", () -> outcome(host, "useful") == 24);
      assertThat(versions(host)).containsExactly("1 fetched");
    }
  }

  /// A start whose guest asks at once, of an origin so far away that nothing else counts.
  private static double startSeconds(RunningHost host) throws IOException {
    long began = System.nanoTime();
    host.post("/v1/vms/vm-1/start", "");
    try (NbdClient disk = host.disk("vm-1")) {
      for (int i = 0; i < 24; i++) {
        host.readExtent(disk, 100 + 3 * i);
      }
    }
    double seconds = (System.nanoTime() - began) / 1e9;
    host.post("/v1/vms/vm-1/stop", "");
    return seconds;
  }

  private void removeTier(Path host) throws IOException {
    try (Stream<Path> files = Files.walk(host.resolve("state/tier"))) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static void moveOriginAway(Path host, String before) throws IOException {
    Path file = host.resolve("prestage.yaml");
    String now = Files.readString(file).replace(before, "latency: 150ms");
    assertThat(now).contains("latency: 150ms");
    Files.writeString(file, now);
  }

  /// The first start of a host that has nothing but what lies beside the image.
  private double firstStartSeconds(String name, byte[] image) throws IOException {
    Path models = Files.createDirectories(folder.resolve("models"));
    Path other = second(name, models, image);
    moveOriginAway(other, "latency: 2ms");
    try (RunningHost host = RunningHost.restart(other, image).awaitOk()) {
      host.register("vm-1", "web");
      return startSeconds(host);
    }
  }

  @Test
  void theFirstStartOfASecondHostIsAsFastAsOneOfTheFirst() throws IOException {
    byte[] image;
    byte[] model;
    try (RunningHost host =
        RunningHost.start(folder, "latency: 0ms", RunningHost.WITH_HISTORY).awaitOk()) {
      image = host.image;
      host.register("vm-1", "web");
      run(host, 100, 10);
      run(host, 100, 10);
      try (PrestageClient client = host.client()) {
        model = client.getBytes("/v1/models/web");
      }
    }
    removeTier(folder);
    moveOriginAway(folder, "latency: 0ms");
    double first;
    try (RunningHost host = RunningHost.restart(folder, image).awaitOk()) {
      first = startSeconds(host);
    }
    double unknown = firstStartSeconds("unknown", image);
    Files.write(folder.resolve("models/web.model"), model);
    double second = firstStartSeconds("second", image);
    System.out.printf(
        "a start on the first host %.2f s, on a second one %.2f s with its model, %.2f s without%n",
        first, second, unknown);
    assertThat(second).isLessThanOrEqualTo(1.2 * first);
    assertThat(second).isLessThan(unknown / 2);
  }

  private static List<String> versions(RunningHost host) {
    List<String> versions = new ArrayList<>();
    get(host, "/v1/models/web/versions")
        .path("versions")
        .forEach(
            each -> versions.add(each.path("number").asText() + " " + each.path("how").asText()));
    return versions;
  }
}
