package dev.prestage.benchmarks.memory;

import dev.prestage.dataplane.memory.MemoryEdge;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;

/// The programs in C, compiled.
///
/// @param guest a VM manager with its guest
/// @param handler what Prestage's page server is compared with
record Programs(Path guest, Path handler) {
  /// Compiles them into a folder.
  ///
  /// @throws IOException with one line that says what is missing
  static Programs compile(Path folder) throws IOException, InterruptedException {
    return new Programs(
        compile(folder, MemoryEdge.class, "vmm"), compile(folder, Programs.class, "handler"));
  }

  private static Path compile(Path folder, Class<?> owner, String name)
      throws IOException, InterruptedException {
    Path source = folder.resolve(name + ".c");
    Path program = folder.resolve(name);
    try (InputStream c = owner.getResourceAsStream(name + ".c")) {
      Files.copy(Objects.requireNonNull(c), source);
    }
    Process gcc;
    try {
      gcc =
          new ProcessBuilder("gcc", "-O2", "-pthread", "-o", program.toString(), source.toString())
              .inheritIO()
              .start();
    } catch (IOException e) {
      throw new IOException("the guest is a program in C: install gcc (Debian package gcc)", e);
    }
    if (gcc.waitFor() != 0) {
      throw new IOException("gcc could not compile " + name + ".c");
    }
    return program;
  }
}
