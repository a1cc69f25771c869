package dev.prestage.link.host;

import static java.nio.file.StandardOpenOption.CREATE_NEW;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Set;

/// Replaces a file whole or not at all, whatever happens meanwhile.
public final class AtomicFile {
  private AtomicFile() {}

  /// The file holds exactly these bytes, on stable storage, for this user only. What a crash left
  /// of an earlier attempt goes, and a link in its place is not followed.
  public static void write(Path file, byte[] bytes) throws IOException {
    Path folder = file.toAbsolutePath().getParent();
    if (folder == null) {
      throw new IOException(file + " is no file name");
    }
    Files.createDirectories(folder);
    Path next = folder.resolve(file.getFileName() + ".next");
    if (!Files.isDirectory(next, LinkOption.NOFOLLOW_LINKS)) {
      Files.deleteIfExists(next);
    }
    try (FileChannel channel =
        FileChannel.open(next, Set.of(CREATE_NEW, WRITE), StateLock.OWNER_ONLY)) {
      ByteBuffer buffer = ByteBuffer.wrap(bytes);
      while (buffer.hasRemaining()) {
        channel.write(buffer);
      }
      channel.force(true);
    }
    Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
    try (FileChannel directory = FileChannel.open(folder)) {
      directory.force(true);
    }
  }
}
