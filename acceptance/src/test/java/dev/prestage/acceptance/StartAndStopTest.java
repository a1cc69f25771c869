package dev.prestage.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What a host says, and how it ends, when a service manager or a terminal starts and stops it.
class StartAndStopTest {
  private Path folder = Path.of("");

  // JUnit's temporary folders have long paths, and sockets need short ones.
  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory("psstop");
  }

  @AfterEach
  void removeFolder() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  @Test
  void itSaysOnceThatItIsReadyAndEndsWithCodeZeroAndNoWarningWhenToldTo() throws Exception {
    RunningHost host = RunningHost.start(folder, RunningHost.WITH_HISTORY);
    try (host) {
      host.await("it says that it is ready", () -> says(host, "prestage: ready"));
      // What readiness promises.
      host.register("vm-1", "shop");
      assertThat(host.get("/health").path("parts").path("data-plane").asText()).isEqualTo("ok");
      // As a terminal does on Ctrl-C, before the supervisor heard of it.
      RunningHost.signal(host.plane("data-plane"), "INT");
      RunningHost.signal(host.plane("control-plane"), "INT");
      try (var disk = host.disk("vm-1")) {
        host.readExtent(disk, 0);
      }
    }
    assertThat(host.exitValue()).isZero();
    assertThat(host.log())
        .containsOnlyOnce("prestage: ready")
        .doesNotContain("WARNING")
        .endsWith("prestage: stopped\n");
  }

  private static boolean says(RunningHost host, String text) {
    try {
      return host.log().contains(text);
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void anAddressThatCannotBeResolvedIsOneLine() throws Exception {
    Files.writeString(
        folder.resolve("prestage.yaml"),
        "state: state\nnbd: {tcp: 'no-such-host.invalid:10809'}\n");
    Path log = folder.resolve("log");
    Process process = RunningHost.launch(folder, log);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isEqualTo(2);
    assertThat(Files.readString(log).strip())
        .contains("no address of 'no-such-host.invalid' (nbd.tcp)")
        .hasLineCount(1);
  }
}
