package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import dev.prestage.client.PrestageClient;
import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// `prestage run` as its users start it, on a folder of its own, with one image of random bytes.
final class RunningHost implements AutoCloseable {
  static final int EXTENT = 64 * 1024;
  static final int EXTENTS = 512;
  static final String IMAGE = "disk.raw";

  /// For tests of history, and for those that want a host as users have it.
  static final String WITH_HISTORY = "history: {enabled: true}\n";

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration PATIENCE = Duration.ofSeconds(90);

  final Path folder;
  final byte[] image;
  private final Process process;

  private RunningHost(Path folder, byte[] image, Process process) {
    this.folder = folder;
    this.image = image;
    this.process = process;
  }

  /// Writes an image and a configuration and starts; `more` is added to the configuration. Without
  /// history unless `more` asks for it: opening its database takes a third of a start.
  static RunningHost start(Path folder, String more) throws IOException {
    return start(folder, "latency: 2ms", more);
  }

  /// The same with an origin that has these faults.
  static RunningHost start(Path folder, String faults, String more) throws IOException {
    return start(folder, faults, "", more);
  }

  /// The same over a link that moves so much, such as `64MiB/s`.
  static RunningHost start(Path folder, String faults, String bandwidth, String more)
      throws IOException {
    Path images = Files.createDirectories(folder.resolve("images"));
    byte[] image = new byte[EXTENTS * EXTENT];
    new Random(4711).nextBytes(image);
    Files.write(images.resolve(IMAGE), image);
    Files.writeString(
        folder.resolve("prestage.yaml"),
        "state: state\norigins:\n  - {name: nas, directory: images, faults: {"
            + faults
            + "}"
            + (bandwidth.isEmpty() ? "" : ", bandwidth: " + bandwidth)
            + "}\n"
            + (more.contains("history:") ? "" : "history: {enabled: false}\n")
            // Tests are of starts that are staged for.
            + (more.contains("predict:") ? "" : "predict: {controls: 0}\n")
            + more);
    return restart(folder, image);
  }

  /// Starts on a folder that is there already.
  static RunningHost restart(Path folder, byte[] image) throws IOException {
    return new RunningHost(folder, image, launch(folder, folder.resolve("log")));
  }

  /// The launcher in the project's folder.
  static Path command() {
    return Path.of(System.getProperty("prestage.home"), "prestage");
  }

  static Process launch(Path folder, Path log) throws IOException {
    return new ProcessBuilder(
            command().toString(), "run", "--config", folder.resolve("prestage.yaml").toString())
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
        .start();
  }

  Path api() {
    return folder.resolve("state").resolve("sockets").resolve("api.sock");
  }

  PrestageClient client() {
    return PrestageClient.onSocket(api());
  }

  JsonNode get(String path) throws IOException {
    try (PrestageClient client = client()) {
      JsonNode answer = JSON.readTree(client.get(path).text());
      checkDescribed(path, answer, JSON.readTree(client.get("/v1/openapi.json").text()));
      return answer;
    }
  }

  /// Whether an answer is what the host's own description of its API says.
  private static void checkDescribed(String path, JsonNode answer, JsonNode description) {
    String plain = path.replaceFirst("\\?.*", "");
    String route =
        description
            .path("paths")
            .propertyStream()
            .map(Map.Entry::getKey)
            .filter(each -> plain.matches(each.replaceAll("\\{\\w+}", "[^/]+")))
            .findFirst()
            .orElseThrow(() -> new AssertionError("not described: " + path));
    String schema =
        "#/paths/"
            + route.replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
            + "/get/responses/200/content/application~1json/schema";
    ObjectNode root = description.deepCopy();
    root.put("$ref", schema);
    assertThat(
            JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012)
                .getSchema(root)
                .validate(answer))
        .as(path)
        .isEmpty();
  }

  void post(String path, String json) throws IOException {
    try (PrestageClient client = client()) {
      assertThat(client.post(path, json).status()).isBetween(200, 299);
    }
  }

  void register(String vm, String program) throws IOException {
    post(
        "/v1/vms",
        "{\"vm\":\"%s\",\"program\":\"%s\",\"image\":\"%s\"}".formatted(vm, program, IMAGE));
  }

  NbdClient disk(String vm) throws IOException {
    Path socket = folder.resolve("state").resolve("sockets").resolve("nbd.sock");
    return NbdClient.connect(UnixDomainSocketAddress.of(socket), vm);
  }

  /// Reads one extent and compares it with the image.
  void readExtent(NbdClient disk, int extent) throws IOException {
    byte[] read = disk.read((long) extent * EXTENT, EXTENT);
    byte[] right = Arrays.copyOfRange(image, extent * EXTENT, (extent + 1) * EXTENT);
    assertThat(Arrays.mismatch(read, right)).as("extent %d", extent).isEqualTo(-1);
  }

  private String health() {
    try {
      return get("/health").toString();
    } catch (IOException e) {
      return "" + e.getMessage();
    }
  }

  String state() {
    try {
      return get("/health").path("status").asText();
    } catch (IOException e) {
      return "" + e.getMessage();
    }
  }

  RunningHost awaitOk() throws IOException {
    await("the host is well", () -> state().equals("ok"));
    return this;
  }

  /// Waits for a condition; fails with the host's log.
  void await(String what, BooleanSupplier condition) throws IOException {
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError(
            what + " did not come true; its health: " + health() + "; the log:\n" + log());
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(10));
    }
  }

  /// The process of a plane, by the pid that the supervisor said last.
  ProcessHandle plane(String name) throws IOException {
    long pid = -1;
    Matcher said = Pattern.compile("the " + name + " is pid ([0-9]+)").matcher(log());
    while (said.find()) {
      pid = Long.parseLong(said.group(1));
    }
    return ProcessHandle.of(pid).orElseThrow(() -> new AssertionError("no " + name + " runs"));
  }

  /// Waits until a plane runs again in another process.
  void awaitSuccessor(ProcessHandle plane, String name) throws IOException {
    await(
        "another " + name + " runs",
        () -> {
          try {
            return plane(name).pid() != plane.pid();
          } catch (IOException | AssertionError e) {
            return false;
          }
        });
  }

  String log() throws IOException {
    return Files.readString(folder.resolve("log"));
  }

  /// Ends the supervisor as a crash would, and nothing else.
  void kill() {
    process.destroyForcibly();
    process.onExit().join();
  }

  /// The exit code, once it has ended.
  int exitValue() {
    return process.exitValue();
  }

  /// A signal that the JDK has no word for.
  static void signal(ProcessHandle plane, String name) throws IOException {
    new ProcessBuilder("kill", "-" + name, Long.toString(plane.pid())).start().onExit().join();
  }

  @Override
  public void close() throws IOException {
    process.destroy();
    try {
      if (!process.waitFor(30, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new AssertionError("prestage run did not end when told to; the log:\n" + log());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
