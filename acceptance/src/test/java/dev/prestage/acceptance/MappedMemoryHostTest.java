package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.prestage.client.PrestageClient;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// A real QEMU, in software emulation, whose memory is a file: snapshotted, dropped from the page
/// cache, and restored, first while Prestage learns and then with what it has staged.
class MappedMemoryHostTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int MIB = 192;
  private static final long FEW_PAGES = 512;
  private static final String MEMORY_FILE = "box.ram";

  /// What the guest checks itself with: a file in its memory that was written before the snapshot.
  private static final String CHECK = "md5sum /work";

  private Path guest = Path.of("");
  private Path folder = Path.of("");

  @BeforeEach
  void prepare() throws Exception {
    guest = QemuMachine.guest();
    folder = Files.createTempDirectory("psmap");
  }

  @AfterEach
  void clean() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  /// QEMU's monitor.
  private static final class Monitor implements AutoCloseable {
    private final SocketChannel channel;
    private final BufferedReader in;

    Monitor(Path socket) throws IOException {
      channel = SocketChannel.open(StandardProtocolFamily.UNIX);
      channel.connect(UnixDomainSocketAddress.of(socket));
      in = new BufferedReader(Channels.newReader(channel, StandardCharsets.UTF_8));
      assertThat(in.readLine()).contains("QMP");
      JsonNode _ = say("qmp_capabilities", "{}");
    }

    JsonNode say(String command, String arguments) throws IOException {
      String text = "{\"execute\":\"" + command + "\",\"arguments\":" + arguments + "}\n";
      channel.write(StandardCharsets.UTF_8.encode(text));
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        JsonNode answer = JSON.readTree(line);
        assertThat(answer.has("error")).as("%s: %s", command, line).isFalse();
        if (answer.has("return")) {
          return answer.path("return");
        }
      }
      throw new IOException("QEMU's monitor ended at " + command);
    }

    /// The memory stays in its file and is no part of the state.
    void leaveMemory() throws IOException {
      JsonNode _ =
          say(
              "migrate-set-capabilities",
              "{\"capabilities\":[{\"capability\":\"x-ignore-shared\",\"state\":true}]}");
    }

    void awaitStatus(RunningHost host, String query, String status) throws IOException {
      host.await(
          query + " says " + status,
          () -> {
            try {
              return say(query, "{}").path("status").asText().equals(status);
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }

  private String[] devices(String memory, String... more) {
    return Stream.concat(
            Stream.of(
                "-m",
                MIB + "M",
                "-machine",
                "memory-backend=m",
                "-object",
                "memory-backend-file,id=m,size=" + MIB + "M,mem-path=" + memory + ",share=on",
                "-qmp",
                "unix:" + folder.resolve("qmp") + ",server=on,wait=off"),
            Stream.of(more))
        .toArray(String[]::new);
  }

  private Path memory() {
    return folder.resolve("images").resolve(MEMORY_FILE);
  }

  private Path kept() {
    return folder.resolve("kept.ram");
  }

  private Path state() {
    return folder.resolve("device.state");
  }

  /// Boots a guest, has it write a file, and stops it for good.
  ///
  /// @return what its check says
  private List<String> snapshot(RunningHost host) throws Exception {
    try (QemuMachine machine = QemuMachine.start(guest, devices(kept().toString()));
        Monitor monitor = new Monitor(folder.resolve("qmp"))) {
      List<String> _ = machine.run("dd if=/dev/urandom of=/work bs=1M count=24 2>/dev/null");
      List<String> sum = machine.run(CHECK);
      JsonNode _ = monitor.say("stop", "{}");
      monitor.leaveMemory();
      JsonNode _ = monitor.say("migrate", "{\"uri\":\"exec:cat > " + state() + "\"}");
      monitor.awaitStatus(host, "query-migrate", "completed");
      return sum;
    }
  }

  /// The guest writes to its memory, so that each restore begins with the snapshot's again; in the
  /// same file, because that is the one that is bound.
  private void rewind(RunningHost host) throws Exception {
    copy();
    // A page that somebody just uses stays.
    host.await(
        "the page cache has let the snapshot go",
        () -> {
          try {
            drop();
            return resident(host) < FEW_PAGES;
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
        });
  }

  private static long resident(RunningHost host) throws IOException {
    try (PrestageClient client = host.client()) {
      Matcher value =
          Pattern.compile("prestage_memory_resident\\{[^}]*} ([0-9.]+)")
              .matcher(client.get("/metrics").text());
      return value.find() ? (long) Double.parseDouble(value.group(1)) : Long.MAX_VALUE;
    }
  }

  private void copy() throws IOException {
    try (FileChannel from = FileChannel.open(kept(), StandardOpenOption.READ);
        FileChannel to =
            FileChannel.open(memory(), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      for (long at = 0; at < from.size(); ) {
        at += from.transferTo(at, from.size() - at, to);
      }
      to.force(true);
    }
  }

  private void drop() throws IOException, InterruptedException {
    // coreutils' way to drop a whole file from the page cache.
    Process dropped =
        new ProcessBuilder(
                "dd", "of=" + memory(), "oflag=nocache", "conv=notrunc,fdatasync", "count=0")
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("dd.log").toFile())
            .start();
    assertThat(dropped.waitFor()).isZero();
  }

  private List<String> restoreAndCheck(RunningHost host) throws Exception {
    try (QemuMachine machine =
        QemuMachine.launch(guest, devices(memory().toString(), "-S", "-incoming", "defer"))) {
      host.await("QEMU's monitor is there", () -> Files.exists(folder.resolve("qmp")));
      try (Monitor monitor = new Monitor(folder.resolve("qmp"))) {
        monitor.leaveMemory();
        JsonNode _ = monitor.say("migrate-incoming", "{\"uri\":\"exec:cat " + state() + "\"}");
        monitor.awaitStatus(host, "query-migrate", "completed");
        JsonNode _ = monitor.say("cont", "{}");
        return machine.run(CHECK);
      }
    } finally {
      Files.deleteIfExists(folder.resolve("qmp"));
    }
  }

  private static void say(RunningHost host, String path) throws IOException {
    host.post("/v1/vms/box-1/" + path, "{}");
  }

  private static void predicting(RunningHost host, boolean on) throws IOException {
    try (PrestageClient client = host.client()) {
      client.put("/v1/predicting", "{\"on\":" + on + "}");
    }
  }

  private static int unobserved(RunningHost host) {
    try {
      return host.get("/v1/leases?limit=1")
          .path("account")
          .path("outcomes")
          .path("unobserved")
          .asInt();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void restoredGuestChecksOutWithItsMemoryOnDemandAndStaged() throws Exception {
    try (RunningHost host = RunningHost.start(folder, "").awaitOk()) {
      List<String> sum = snapshot(host);
      Files.deleteIfExists(folder.resolve("qmp"));
      assertThat(String.join(" ", sum)).contains("/work");
      copy();
      host.post(
          "/v1/vms",
          "{\"vm\":\"box-1\",\"program\":\"box\",\"resources\":[{\"as\":\"memory\","
              + "\"type\":\"memory-page\",\"source\":\"mapped:"
              + MEMORY_FILE
              + "\"}]}");
      JsonNode resource = host.get("/v1/vms/box-1").path("resources").path(0);
      assertThat(resource.path("uri").asText()).isEqualTo(memory().toRealPath().toString());

      rewind(host);
      predicting(host, false);
      say(host, "start");
      assertThat(restoreAndCheck(host)).as("on demand").isEqualTo(sum);
      say(host, "stop");
      assertThat(unobserved(host)).isZero();

      rewind(host);
      predicting(host, true);
      say(host, "start");
      host.post("/v1/allocations", "{\"vm\":\"box-1\"}");
      // The 24 MiB of the check are 6144 pages.
      host.await("what the check reads is in the page cache", () -> unobserved(host) >= 6000);
      assertThat(restoreAndCheck(host)).as("staged").isEqualTo(sum);
      say(host, "stop");
    }
  }
}
