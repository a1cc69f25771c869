package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/// Runs programs that a user would. A test whose program is not installed is skipped, and says
/// which Debian package brings it.
public final class Tools {
  private static final long PATIENCE_SECONDS = 60;

  private Tools() {}

  /// How a program ended.
  public record Result(int exit, String output) {}

  public static void need(String program, String debianPackage) {
    boolean found =
        Stream.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
            .anyMatch(directory -> Files.isExecutable(Path.of(directory, program)));
    assumeTrue(found, program + " is not installed: apt-get install " + debianPackage);
  }

  /// The Python that sees Debian's modules, with libnbd's.
  public static String needPythonNbd() throws Exception {
    String python = "/usr/bin/python3";
    assumeTrue(
        Files.isExecutable(Path.of(python)) && run(python, "-c", "import nbd").exit() == 0,
        "Python's libnbd is not installed: apt-get install python3-libnbd");
    return python;
  }

  public static Result run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(List.of(command)).redirectErrorStream(true).start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError(String.join(" ", command) + " does not end; it said " + output);
    }
    return new Result(process.exitValue(), output);
  }

  /// Runs a program that must succeed, and returns what it said.
  public static String succeed(String... command) throws IOException, InterruptedException {
    Result result = run(command);
    assertThat(result.exit())
        .as("%s said: %s", String.join(" ", command), result.output())
        .isZero();
    return result.output();
  }
}
