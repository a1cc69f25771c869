package dev.prestage.cli.command;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;

/// Where a long task writes its result: found to be writable before the task, and written whole or
/// not at all.
final class WholeFile {
  private final Path target;
  private final Path whole;

  /// @param whole where it is written before it takes the target's place; the target itself if that
  ///   cannot be replaced
  private WholeFile(Path target, Path whole) {
    this.target = target;
    this.whole = whole;
  }

  /// Looks whether a file can be written.
  ///
  /// @param inputs files that must not be written over
  /// @throws FileSystemException saying why not
  static WholeFile at(Path path, List<Path> inputs) throws IOException {
    if (Files.isDirectory(path)) {
      throw refused(path, "is a folder; name a file to write");
    }
    for (Path input : inputs) {
      if (Files.exists(path) && Files.exists(input) && Files.isSameFile(path, input)) {
        throw refused(path, "is a file to be read; name another one to write");
      }
    }
    if (Files.exists(path) && !Files.isWritable(path)) {
      throw refused(path, "this user may not write it");
    }
    // Devices and pipes are written to; a file put in their place would be for nobody. The same
    // goes for a file behind /dev/stdout, which has the tables.
    boolean special = path.startsWith("/dev") || path.startsWith("/proc");
    if (Files.exists(path) && (special || !Files.isRegularFile(path))) {
      return new WholeFile(path, path);
    }
    Path target = Files.exists(path) ? path.toRealPath() : path.toAbsolutePath();
    Path folder = target.resolveSibling("");
    if (!Files.isDirectory(folder)) {
      throw refused(path, "there is no folder " + folder);
    }
    Path whole =
        target.resolveSibling("." + target.getFileName() + "." + ProcessHandle.current().pid());
    try {
      Files.delete(Files.createFile(whole));
    } catch (IOException e) {
      throw refused(path, "this user cannot write into " + folder);
    }
    return new WholeFile(target, whole);
  }

  private static FileSystemException refused(Path path, String why) {
    return new FileSystemException(path.toString(), null, why);
  }

  /// Writes the content.
  @FunctionalInterface
  interface Content {
    void writeTo(OutputStream out) throws IOException;
  }

  /// Writes all of it. If the content ends in an exception, the target is as it was, unless it is a
  /// device or a pipe.
  void write(Content content) throws IOException {
    if (whole.equals(target)) {
      try (OutputStream out = Files.newOutputStream(target)) {
        content.writeTo(out);
      }
      return;
    }
    try {
      try (OutputStream out =
          Files.newOutputStream(whole, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        content.writeTo(out);
      }
      Files.move(whole, target, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(whole);
    }
  }
}
