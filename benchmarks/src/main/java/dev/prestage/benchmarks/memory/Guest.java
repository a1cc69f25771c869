package dev.prestage.benchmarks.memory;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/// A VM manager with its guest, in a process of its own: `vmm.c`, which says what it can do.
final class Guest implements AutoCloseable {
  private final Process process;
  private final Writer in;
  private final BufferedReader out;
  private final long sizeBytes;

  private Guest(Process process, long sizeBytes) {
    this.process = process;
    this.in = process.outputWriter(StandardCharsets.US_ASCII);
    this.out = process.inputReader(StandardCharsets.US_ASCII);
    this.sizeBytes = sizeBytes;
  }

  /// Starts one with a snapshot, which it writes if there is none of that size.
  ///
  /// @throws IOException with one line if the kernel does not let this user serve memory
  static Guest start(Path program, Path snapshot, long sizeBytes) throws IOException {
    Guest guest =
        new Guest(
            new ProcessBuilder(program.toString(), snapshot.toString(), Long.toString(sizeBytes))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start(),
            sizeBytes);
    guest.base = guest.order("map 0 " + sizeBytes);
    String made = guest.say("uffd");
    if (!made.startsWith("ok")) {
      guest.close();
      throw new IOException(
          "the kernel does not let this user make a userfaultfd ("
              + made
              + "): run as root, or"
              + " set vm.unprivileged_userfaultfd=1 with sysctl");
    }
    return guest;
  }

  private long base;

  private String say(String command) throws IOException {
    in.write(command + "\n");
    in.flush();
    String answer = out.readLine();
    if (answer == null) {
      throw new IOException("the guest ended at '" + command + "'");
    }
    return answer;
  }

  private long order(String command) throws IOException {
    String answer = say(command);
    if (!answer.startsWith("ok ")) {
      throw new IOException("the guest failed at '" + command + "': " + answer);
    }
    return Long.parseLong(answer.substring(3));
  }

  /// Drops the snapshot from the page cache.
  void evict() throws IOException {
    long _ = order("evict");
  }

  /// Hands its memory over, as a restore does.
  void restore(String socket) throws IOException {
    long _ = order("connect " + socket);
    long _ =
        order(
            "send [{\"base_host_virt_addr\":%d,\"size\":%d,\"offset\":0,\"page_size\":4096}]"
                .formatted(base, sizeBytes));
  }

  /// Reads pages as a program does that always reads about the same ones, and checks each byte.
  ///
  /// @param others how many ranges in a hundred are this run's own
  /// @return how long the reads took, in nanoseconds
  long walk(long pages, long program, long run, int others) throws IOException {
    return order("walk " + pages + " " + program + " " + run + " " + others);
  }

  @Override
  public void close() {
    process.destroyForcibly();
    process.onExit().join();
  }
}
