package dev.prestage.benchmarks.network;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Runs a command in a network of its own: a network namespace, and a user namespace in which this
/// user may administer it. `unshare` of util-linux makes them, because a process with more than one
/// thread, as any JVM is, cannot enter a user namespace.
public final class OwnNetwork {
  private static final Path TUNNELS = Path.of("/dev/net/tun");

  private OwnNetwork() {}

  /// Why this system refuses such a network, one line; nothing if it does not.
  public static Optional<String> refusal() throws InterruptedException {
    try {
      List<String> _ = entry();
      return Optional.empty();
    } catch (IOException e) {
      return Optional.of(String.valueOf(e.getMessage()));
    }
  }

  /// Runs a command there, with this process's input and output, until it ends.
  ///
  /// @return its exit code
  /// @throws IOException with one line, if this system refuses such a network
  public static int run(List<String> command) throws IOException, InterruptedException {
    List<String> all = new ArrayList<>(entry());
    all.addAll(command);
    Process process = new ProcessBuilder(all).inheritIO().start();
    Thread ending = new Thread(() -> end(process), "end");
    Runtime.getRuntime().addShutdownHook(ending);
    return process.waitFor();
  }

  private static void end(Process process) {
    process.destroy();
    try {
      // It ends its hosts first.
      int _ = process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /// The words before a command that let it run there.
  ///
  /// @throws IOException with one line, if this system refuses such a network
  private static List<String> entry() throws IOException, InterruptedException {
    if (!Files.isReadable(TUNNELS) || !Files.isWritable(TUNNELS)) {
      throw new IOException(
          "the delayed link needs "
              + TUNNELS
              + ", which is not there or not open to this user (as root: chmod 666 "
              + TUNNELS
              + ")");
    }
    String said = "";
    for (String namespaces : List.of("-Urn", "-n")) {
      try {
        Process probe =
            new ProcessBuilder("unshare", namespaces, "true").redirectErrorStream(true).start();
        said = new String(probe.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        if (probe.waitFor() == 0) {
          return List.of("unshare", namespaces);
        }
      } catch (IOException e) {
        said = String.valueOf(e.getMessage());
      }
    }
    throw new IOException(
        "this system lets no user make a network of its own (" + said + "); root may");
  }
}
