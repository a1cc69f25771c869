package dev.prestage.benchmarks.memory;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/// The processor time of another process, exact where the kernel counts it by thread.
final class Processor {
  private Processor() {}

  /// The time that all threads of a data plane that live now have taken, but those that compile its
  /// code: they do so once, and the runs of the benchmark are the first ones.
  static long dataPlaneNanos(ProcessHandle process) throws IOException {
    List<Path> threads;
    try (Stream<Path> found = Files.list(Path.of("/proc/" + process.pid() + "/task"))) {
      threads = found.toList();
    }
    long nanos = 0;
    for (Path thread : threads) {
      nanos += nanos(thread);
    }
    return nanos;
  }

  private static long nanos(Path thread) throws IOException {
    try {
      String name = Files.readString(thread.resolve("comm"));
      if (name.contains("Compiler")) {
        return 0;
      }
      String[] counted = Files.readString(thread.resolve("schedstat")).split(" ", -1);
      return Long.parseLong(counted[0]);
    } catch (NoSuchFileException _) {
      return 0; // it has ended
    }
  }
}
