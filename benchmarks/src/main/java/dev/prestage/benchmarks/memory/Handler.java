package dev.prestage.benchmarks.memory;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/// What Prestage's page server is compared with, in a process of its own: `handler.c`, which says
/// what it can do. It serves one VM.
final class Handler implements AutoCloseable {
  private final Process process;
  private final BufferedReader out;

  private Handler(Process process) {
    this.process = process;
    this.out = process.inputReader(StandardCharsets.US_ASCII);
  }

  /// What it did for its VM.
  ///
  /// @param faults touches that waited
  /// @param staged pages that were filled in before
  /// @param nanos the processor time that the touches took
  record Account(long faults, long staged, long nanos) {}

  /// Starts one that listens.
  ///
  /// @param list of pages, which is written in mode `demand` and read in mode `replay`
  static Handler start(Path program, Path socket, Path snapshot, String mode, Path list)
      throws IOException {
    Files.deleteIfExists(socket);
    List<String> command =
        List.of(program.toString(), socket.toString(), snapshot.toString(), mode, list.toString());
    Handler handler =
        new Handler(
            new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start());
    handler.expect("listening");
    return handler;
  }

  private void expect(String wanted) throws IOException {
    String said = out.readLine();
    if (!wanted.equals(said)) {
      close();
      throw new IOException("the handler in C says " + said + " instead of " + wanted);
    }
  }

  /// Waits until the pages that are to come before the guest runs are there.
  void awaitReady() throws IOException {
    expect("ready");
  }

  /// Once its VM has ended.
  Account account() throws IOException {
    String said = out.readLine();
    if (said == null) {
      throw new IOException("the handler in C failed");
    }
    String[] numbers = said.split(" ", -1);
    return new Account(
        Long.parseLong(numbers[0]), Long.parseLong(numbers[1]), Long.parseLong(numbers[2]));
  }

  @Override
  public void close() {
    process.destroyForcibly();
    process.onExit().join();
  }
}
