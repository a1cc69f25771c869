package dev.prestage.cli.command;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// A file that this command made for a guest's writes. It alone may be removed when the command
/// fails: another file of that name may hold what a guest wrote.
final class Overlay {
  private final Path file;
  private final @Nullable Object key;

  private Overlay(Path file) throws IOException {
    this.file = file;
    this.key = key(file);
  }

  /// Makes the file, empty.
  ///
  /// @throws IOException one line, also if something of that name is there
  static Overlay reserve(Path file) throws IOException {
    try {
      return new Overlay(Files.createFile(file));
    } catch (FileAlreadyExistsException e) {
      throw new IOException(file + " is there already, and is not written over: try again", e);
    } catch (NoSuchFileException e) {
      throw new IOException(file + " cannot be made: its folder is not there", e);
    }
  }

  /// Removes the file, unless another one has its name by now.
  void remove() throws IOException {
    if (Files.exists(file, LinkOption.NOFOLLOW_LINKS) && Objects.equals(key, key(file))) {
      Files.delete(file);
    }
  }

  /// The device and the inode.
  private static @Nullable Object key(Path file) throws IOException {
    return Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
        .fileKey();
  }
}
