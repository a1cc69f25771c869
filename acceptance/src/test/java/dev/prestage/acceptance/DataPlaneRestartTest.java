package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// A data plane that is restarted under a guest that reads, with the recipes that the manuals give.
class DataPlaneRestartTest {
  private static final Path HOME = Path.of(System.getProperty("prestage.home"));
  private static final Pattern NBD_NODE =
      Pattern.compile("-blockdev '(\\{\"driver\":\"nbd\"[^']*\\})'");
  private static final Pattern NBD_SOURCE =
      Pattern.compile("<source protocol='nbd'.*?</source>", Pattern.DOTALL);

  private Path folder = Path.of("");

  // JUnit's temporary folders have long paths, and sockets need short ones.
  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory("psrestart");
  }

  @AfterEach
  void removeFolder() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static String manual(String name) throws IOException {
    return Files.readString(HOME.resolve(name));
  }

  @Test
  void everyRecipeOfTheManualsConnectsAgain() throws IOException {
    for (String name : List.of("README.md", "docs/guests.md")) {
      assertThat(manual(name).lines().filter(line -> line.contains("-drive file.driver=nbd")))
          .as(name)
          .isNotEmpty()
          .allMatch(line -> line.contains("reconnect-delay="));
      assertThat(manual(name).lines().filter(line -> line.startsWith("qemu-system")))
          .as(name)
          .noneMatch(line -> line.contains("nbd+unix:"));
    }
    assertThat(NBD_NODE.matcher(manual("docs/guests.md")).results().map(found -> found.group(1)))
        .isNotEmpty()
        .allMatch(node -> node.contains("\"reconnect-delay\":"));
    assertThat(NBD_SOURCE.matcher(manual("docs/guests.md")).results().map(found -> found.group()))
        .isNotEmpty()
        .allMatch(source -> source.contains("<reconnect delay="));
  }

  /// The node of the manual's recipe, for this host's socket and VM.
  private String node(RunningHost host) throws IOException {
    Matcher recipe = NBD_NODE.matcher(manual("docs/guests.md"));
    assertThat(recipe.find()).isTrue();
    ObjectMapper json = new ObjectMapper();
    ObjectNode node = (ObjectNode) json.readTree(recipe.group(1));
    node.remove("node-name");
    node.put("export", "vm-1");
    ((ObjectNode) node.get("server")).put("path", host.api().resolveSibling("nbd.sock").toString());
    return "json:" + json.createObjectNode().put("driver", "raw").set("file", node);
  }

  private static long reads(RunningHost host) {
    try (PrestageClient client = host.client()) {
      Matcher reads =
          Pattern.compile("prestage_demand_reads_total\\{vm=\"vm-1\"\\} ([0-9]+)")
              .matcher(client.get("/metrics").text());
      return reads.find() ? Long.parseLong(reads.group(1)) : 0;
    } catch (IOException e) {
      return 0;
    }
  }

  @Test
  void qemuReadsOnThroughAKillOfTheDataPlaneAndGetsTheRightBytes() throws Exception {
    assumeThat(Path.of("/usr/bin/qemu-img")).as("package qemu-utils").exists();
    // Slow enough that the kill comes long before the last byte.
    try (RunningHost host = RunningHost.start(folder, "bandwidth: 4MB/s", "").awaitOk()) {
      host.register("vm-1", "shop");
      Path copy = folder.resolve("copy.raw");
      Path said = folder.resolve("qemu-img.log");
      Process qemu =
          new ProcessBuilder("qemu-img", "convert", "-O", "raw", node(host), copy.toString())
              .redirectErrorStream(true)
              .redirectOutput(said.toFile())
              .start();
      try {
        host.await("QEMU reads", () -> reads(host) > 0 || !qemu.isAlive());
        ProcessHandle data = host.plane("data-plane");
        data.destroyForcibly();
        data.onExit().join();
        assertThat(qemu.isAlive()).as(Files.readString(said)).isTrue();
        assertThat(qemu.waitFor(90, TimeUnit.SECONDS)).isTrue();
      } finally {
        qemu.destroyForcibly();
      }
      assertThat(qemu.exitValue()).as(Files.readString(said)).isZero();
      assertThat(Arrays.mismatch(Files.readAllBytes(copy), host.image)).isEqualTo(-1);
    }
  }
}
