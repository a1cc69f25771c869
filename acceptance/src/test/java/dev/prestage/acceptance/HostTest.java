package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The whole product in its own processes.
class HostTest {
  private static final int RUN = 200;

  /// A host that has learnt one run of vm-1 and was stopped; its tier is empty.
  private static Path learnt = Path.of("");

  private static byte[] image = {};
  private Path folder = Path.of("");

  @BeforeAll
  static void learn() throws IOException {
    learnt = Files.createTempDirectory("pstest");
    try (RunningHost host = RunningHost.start(learnt, "").awaitOk()) {
      image = host.image;
      host.register("vm-1", "shop");
      run(host, "vm-1");
    }
    delete(learnt.resolve("state").resolve("tier"));
  }

  @AfterAll
  static void removeLearnt() throws IOException {
    delete(learnt);
  }

  // JUnit's temporary folders have long paths, and sockets need short ones.
  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory("pstest");
  }

  @AfterEach
  void removeFolder() throws IOException {
    delete(folder);
  }

  /// Starts a copy of the host that has learnt, on the same images.
  private RunningHost startLearnt(String more) throws IOException {
    Path state = learnt.resolve("state");
    try (Stream<Path> files = Files.walk(state)) {
      for (Path file : files.toList()) {
        Path copy = folder.resolve("state").resolve(state.relativize(file));
        Files.copy(file, copy, StandardCopyOption.COPY_ATTRIBUTES);
      }
    }
    String configuration = Files.readString(learnt.resolve("prestage.yaml"));
    String images = "directory: " + learnt.resolve("images");
    Files.writeString(
        folder.resolve("prestage.yaml"),
        configuration.replace("directory: images", images).replace("predict: {controls: 0}\n", "")
            + more);
    return RunningHost.restart(folder, image);
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  /// The made-up program: every other extent.
  private static void run(RunningHost host, String vm) throws IOException {
    host.post("/v1/vms/" + vm + "/start", "{}");
    try (NbdClient disk = host.disk(vm)) {
      for (int i = 0; i < RUN; i++) {
        host.readExtent(disk, 2 * i);
      }
    }
    host.post("/v1/vms/" + vm + "/stop", "{}");
  }

  private static long outcome(RunningHost host, String outcome) throws IOException {
    return host.get("/v1/leases?limit=1").path("account").path("outcomes").path(outcome).asLong();
  }

  private static void awaitGrants(RunningHost host) throws IOException {
    host.await(
        "something is staged",
        () -> {
          try {
            return host.get("/v1/leases?limit=1").path("account").path("granted").asLong() > 0;
          } catch (IOException e) {
            return false;
          }
        });
  }

  @Test
  void whatWasLearntSurvivesARestartAndIsStagedWhereTheBytesAreNot() throws IOException {
    try (RunningHost host = startLearnt("").awaitOk()) {
      assertThat(host.get("/v1/vms").path("vms")).hasSize(1);
      run(host, "vm-1");
      assertThat(outcome(host, "useful")).isGreaterThan(RUN / 2);
    }
  }

  @Test
  void readsGoOnAtTheSameSpeedWithoutAControlPlaneAndPredictionsResumeWithTheNext()
      throws IOException {
    try (RunningHost host = startLearnt("").awaitOk();
        NbdClient disk = host.disk("vm-1")) {
      for (int extent = 400; extent < RunningHost.EXTENTS; extent++) {
        host.readExtent(disk, extent);
      }
      medianNanos(host, disk);
      long with = medianNanos(host, disk);
      ProcessHandle control = host.plane("control-plane");
      control.destroyForcibly();
      control.onExit().join();
      long without = medianNanos(host, disk);
      // A factor that no scheduler's mood reaches, and every wait for the other plane would.
      assertThat(without).as("median read, ns, against %d", with).isLessThan(10 * with + 1_000_000);
      host.awaitSuccessor(control, "control-plane");
      host.awaitOk();
      host.post("/v1/vms/vm-1/start", "{}");
      awaitGrants(host);
    }
  }

  private static long medianNanos(RunningHost host, NbdClient disk) throws IOException {
    long[] nanos = new long[200];
    for (int i = 0; i < nanos.length; i++) {
      long begin = System.nanoTime();
      host.readExtent(disk, 400 + i % (RunningHost.EXTENTS - 400));
      nanos[i] = System.nanoTime() - begin;
    }
    Arrays.sort(nanos);
    return nanos[nanos.length / 2];
  }

  @Test
  void aHistoryThatCannotBeWrittenIsLoudAndGuestsAreServed() throws IOException {
    Files.createDirectories(folder.resolve("state"));
    Files.writeString(folder.resolve("state").resolve("history"), "in the way");
    try (RunningHost host = RunningHost.start(folder, RunningHost.WITH_HISTORY)) {
      host.await("the host answers", () -> host.state().equals("degraded"));
      host.await(
          "the data plane is there",
          () -> {
            try {
              return host.get("/health").path("parts").path("data-plane").asText().equals("ok");
            } catch (IOException e) {
              return false;
            }
          });
      host.register("vm-1", "shop");
      run(host, "vm-1");
      assertThat(host.get("/health").path("parts").path("history").asText())
          .contains(folder.resolve("state").resolve("history").toString());
    }
  }

  @Test
  void switchedOffItServesAndStagesNothing() throws IOException {
    try (RunningHost host = startLearnt("predict: {enabled: false, controls: 0}\n").awaitOk()) {
      run(host, "vm-1");
      assertThat(host.get("/v1/leases?limit=1").path("account").path("granted").asLong()).isZero();
    }
  }
}
