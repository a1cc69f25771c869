package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.client.PrestageClient;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// A program's memory through the whole product: learnt in one restore, there before the touches of
/// the next.
class MemoryHostTest {
  private static final int PAGE = 4096;
  private static final int PAGES = 2048;
  private static final int TOUCHED = 400;

  private Path folder = Path.of("");
  private Path vmm = Path.of("");

  @BeforeEach
  void compile() throws Exception {
    folder = Files.createTempDirectory("pstest");
    Path source =
        Path.of(
            System.getProperty("prestage.home"),
            "dataplane/src/main/resources/dev/prestage/dataplane/memory/vmm.c");
    vmm = folder.resolve("vmm");
    Process gcc;
    try {
      gcc =
          new ProcessBuilder("gcc", "-O2", "-pthread", "-o", vmm.toString(), source.toString())
              .inheritIO()
              .start();
    } catch (IOException e) {
      assumeTrue(false, "gcc is not installed: apt-get install gcc (" + e.getMessage() + ")");
      return;
    }
    assertThat(gcc.waitFor()).isZero();
  }

  @AfterEach
  void clean() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static String prestage(RunningHost host, String... arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of(RunningHost.command().toString()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("PRESTAGE_API", host.api().toString());
    Process process = builder.start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    try {
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    assertThat(process.exitValue()).as(out).isZero();
    return out;
  }

  private static void predicting(RunningHost host, boolean on) throws IOException {
    try (PrestageClient client = host.client()) {
      client.put("/v1/predicting", "{\"on\":" + on + "}");
    }
  }

  private static JsonNode account(RunningHost host) {
    try {
      return host.get("/v1/leases?limit=1").path("account");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static long metric(RunningHost host, String name) {
    try {
      Matcher line =
          Pattern.compile("prestage_" + name + "\\{[^}]*} ([0-9]+)")
              .matcher(prestage(host, "metrics"));
      return line.find() ? Long.parseLong(line.group(1)) : -1;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// A VM manager that has restored the snapshot; what is to be done is said line by line.
  private final class Vm implements AutoCloseable {
    private final Process process;
    private final Writer in;
    private final BufferedReader out;

    Vm(Path snapshot, String socket) throws IOException {
      process = new ProcessBuilder(vmm.toString(), snapshot.toString()).start();
      in = process.outputWriter(StandardCharsets.US_ASCII);
      out = process.inputReader(StandardCharsets.US_ASCII);
      long size = (long) PAGES * PAGE;
      String mapped = say("map 0 " + size);
      String made = say("uffd");
      if (!made.startsWith("ok")) {
        close();
      }
      assumeTrue(made.startsWith("ok"), "this user may not make a userfaultfd: " + made);
      assertThat(say("connect " + socket)).isEqualTo("ok 0");
      assertThat(
              say(
                  "send [{\"base_host_virt_addr\":%s,\"size\":%d,\"offset\":0,\"page_size\":%d}]"
                      .formatted(mapped.substring(3), size, PAGE)))
          .isEqualTo("ok 0");
    }

    String say(String command) throws IOException {
      in.write(command + "\n");
      in.flush();
      return "" + out.readLine();
    }

    /// What the program does: scattered runs of pages, each checked byte by byte.
    void work() throws IOException {
      for (int page = 0; page < TOUCHED * 4; page += 40) {
        assertThat(say("touch " + page + " 10 1")).isEqualTo("ok 0");
      }
    }

    @Override
    public void close() {
      process.destroyForcibly();
      process.onExit().join();
    }
  }

  @Test
  void pagesThatOneRestoreTouchedAreThereBeforeTheTouchesOfTheNext() throws Exception {
    Path images = Files.createDirectories(folder.resolve("images"));
    Path snapshot = images.resolve("snap1.mem");
    byte[] memory = new byte[PAGES * PAGE];
    new SplittableRandom(5).nextBytes(memory);
    Files.write(snapshot, memory);
    try (RunningHost host = RunningHost.start(folder, RunningHost.WITH_HISTORY).awaitOk()) {
      host.post(
          "/v1/vms",
          "{\"vm\":\"box-1\",\"program\":\"box\",\"resources\":[{\"as\":\"memory\","
              + "\"type\":\"memory-page\",\"source\":\"snap1.mem\"}]}");
      JsonNode resource = host.get("/v1/vms/box-1").path("resources").path(0);
      String socket = resource.path("uri").asText();
      assertThat(socket).endsWith(".sock");
      assertThat(resource.path("unitAmount").asInt(PAGE)).isEqualTo(PAGE);

      // What is not known yet is guessed from neighbours; this run is to be on demand.
      predicting(host, false);
      prestage(host, "vm", "start", "box-1");
      try (Vm first = new Vm(snapshot, socket)) {
        first.work();
        host.await("all touches are counted", () -> metric(host, "memory_faults_total") >= TOUCHED);
      }
      prestage(host, "vm", "stop", "box-1");
      long onDemand = metric(host, "memory_faults_total");
      assertThat(onDemand).isEqualTo(TOUCHED);
      host.await(
          "history has the pages",
          () -> {
            try {
              return prestage(host, "history", "--vm", "box-1").contains("snap1.mem/");
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
      assertThat(prestage(host, "forecast", "box-1")).contains("memory-page:snap1.mem/");

      predicting(host, true);
      try (Vm second = new Vm(snapshot, socket)) {
        prestage(host, "vm", "start", "box-1");
        prestage(host, "allocate", "box-1");
        host.await(
            "it is available",
            () -> {
              try {
                return host.get("/v1/allocations/1").path("state").asText().equals("available");
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
        second.work();
        host.await("pages were filled ahead", () -> metric(host, "memory_staged_total") > 0);
        long faults = metric(host, "memory_faults_total") - onDemand;
        assertThat(faults).as("touches that waited").isLessThanOrEqualTo(TOUCHED * 3L / 100);
      }
      JsonNode outcomes = account(host).path("outcomes");
      assertThat(outcomes.path("unobserved").asInt()).isGreaterThanOrEqualTo(TOUCHED * 97 / 100);
      prestage(host, "vm", "stop", "box-1");
      host.await("its end is seen", () -> metric(host, "memory_connections") == 0);
      prestage(host, "vm", "remove", "box-1");
      host.await("all units have ended", () -> account(host).path("live").asInt() == 0);
    }
  }
}
