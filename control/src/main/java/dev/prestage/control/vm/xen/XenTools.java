package dev.prestage.control.vm.xen;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.prestage.control.vm.HypervisorException;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;

/// Runs Xen's tools, each with a deadline. Thread-safe.
///
/// @param through what stands before each command, such as `sudo -n` or `ssh dom0`
record XenTools(List<String> through, Duration deadline) {
  /// A thousand domains are about 3 MB of `xl list -l`.
  private static final int MOST_BYTES = 64 << 20;

  private static final int LONGEST_REASON = 200;

  /// After a child was killed its pipes are closed, unless a process in another session holds them.
  private static final Duration AFTER_KILL = Duration.ofSeconds(1);

  private static final Pattern PLACE = Pattern.compile("^libxl: error: [\\w.]+:\\d+:\\w+: ?");

  /// A command that ran and did not succeed.
  static final class Failure extends IOException {
    private static final long serialVersionUID = 1;

    Failure(String message) {
      super(message);
    }
  }

  /// What a command wrote, once it succeeded.
  ///
  /// @throws HypervisorException one line, where it could not be started, failed or took too long
  String run(String... command) throws HypervisorException {
    try {
      return tryRun(command);
    } catch (Failure e) {
      throw new HypervisorException(e.getMessage() + "");
    }
  }

  /// As [#run], where a failure may mean something.
  String tryRun(String... command) throws HypervisorException, Failure {
    Process process = start(command);
    try {
      CompletableFuture<String> output = read(process.getInputStream());
      CompletableFuture<String> errors = read(process.getErrorStream());
      if (!process.waitFor(deadline.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new HypervisorException(
            "'%s' did not end within %s and was killed"
                .formatted(words(command), seconds(deadline)));
      }
      String said = errors.get(AFTER_KILL.toMillis(), TimeUnit.MILLISECONDS);
      if (process.exitValue() != 0) {
        throw new Failure(
            "'%s' failed: %s".formatted(words(command), reason(said, process.exitValue())));
      }
      return output.get(deadline.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new HypervisorException("'" + words(command) + "' was not waited for any more");
    } catch (ExecutionException | TimeoutException e) {
      throw new HypervisorException(
          "what '%s' wrote cannot be read: %s".formatted(words(command), e.getMessage()));
    } finally {
      kill(process);
    }
  }

  /// Starts a command that the caller ends with [#kill].
  Process start(String... command) throws HypervisorException {
    List<String> all = new ArrayList<>(through);
    all.addAll(List.of(command));
    try {
      Process process = new ProcessBuilder(all).start();
      process.getOutputStream().close();
      return process;
    } catch (IOException e) {
      throw new HypervisorException(
          "'%s' cannot be started: install Xen's tools here, or name in xen.through how they are reached (%s)"
              .formatted(words(command), e.getMessage()));
    }
  }

  static void kill(Process process) {
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
  }

  private static CompletableFuture<String> read(InputStream stream) {
    CompletableFuture<String> text = new CompletableFuture<>();
    Thread.ofVirtual()
        .start(() -> {
          try (stream) {
            byte[] bytes = stream.readNBytes(MOST_BYTES + 1);
            if (bytes.length > MOST_BYTES) {
              throw new IOException("it is more than " + (MOST_BYTES >> 20) + " MiB");
            }
            text.complete(new String(bytes, UTF_8));
          } catch (IOException e) {
            text.completeExceptionally(e);
          }
        });
    return text;
  }

  /// The line that says most: of a tool's cascade of errors, the first is the cause.
  static String reason(String errors, int status) {
    List<String> lines = errors.lines().map(String::strip).filter(l -> !l.isEmpty()).toList();
    String line =
        lines.stream()
            .filter(l -> l.contains("denied"))
            .findFirst()
            .orElse(lines.isEmpty() ? "it ended with status " + status : lines.getFirst());
    line = PLACE.matcher(line).replaceFirst("").replaceAll("\\p{Cntrl}", " ");
    return line.length() <= LONGEST_REASON ? line : line.substring(0, LONGEST_REASON) + "...";
  }

  private String words(String... command) {
    String own = String.join(" ", command);
    return through.isEmpty() ? own : String.join(" ", through) + " " + own;
  }

  private static String seconds(Duration duration) {
    return duration.toMillis() % 1000 == 0
        ? duration.toSeconds() + " s"
        : duration.toMillis() + " ms";
  }

  /// Why a child ended, as far as it said.
  static String lastWords(Process process) {
    try {
      InputStream errors = process.getErrorStream();
      byte[] bytes = errors.readNBytes(Math.min(errors.available(), 4096));
      return reason(new String(bytes, UTF_8), process.isAlive() ? 0 : process.exitValue());
    } catch (IOException _) {
      return "it ended";
    }
  }
}
