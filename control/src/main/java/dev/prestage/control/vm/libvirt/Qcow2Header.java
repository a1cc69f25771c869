package dev.prestage.control.vm.libvirt;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// What a qcow2 file says of the file that it rests on. The layout is that of QEMU's
/// `docs/interop/qcow2.txt`.
final class Qcow2Header {
  private static final int MAGIC = 0x514649fb;
  private static final int BACKING_OFFSET = 8;
  private static final int BACKING_SIZE = 16;
  private static final int BYTES = 20;

  /// The format allows no longer name.
  private static final int LONGEST_NAME = 1023;

  private static final Pattern JSON_FILE = Pattern.compile("\"filename\"\\s*:\\s*\"([^\"]+)\"");

  private Qcow2Header() {}

  /// The file that a file rests on, or null if it rests on none or is no qcow2.
  static @Nullable Path backing(Path file) throws IOException {
    // Opening a pipe would wait for somebody who writes.
    if (!Files.isRegularFile(file) && !file.startsWith("/dev")) {
      return null;
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      ByteBuffer header = read(channel, 0, BYTES);
      if (header.limit() < BYTES || header.getInt(0) != MAGIC) {
        return null;
      }
      long offset = header.getLong(BACKING_OFFSET);
      int size = header.getInt(BACKING_SIZE);
      if (offset <= 0 || size <= 0 || size > LONGEST_NAME) {
        return null;
      }
      String name = StandardCharsets.UTF_8.decode(read(channel, offset, size)).toString();
      return file.resolveSibling(fileName(name));
    } catch (InvalidPathException _) {
      // QEMU cannot open it either.
      return null;
    }
  }

  /// QEMU takes a plain name, one with its protocol, or a description in JSON.
  private static String fileName(String name) {
    if (name.startsWith("json:")) {
      Matcher file = JSON_FILE.matcher(name);
      return file.find() ? file.group(1) : name;
    }
    return name.startsWith("file:") ? name.substring("file:".length()) : name;
  }

  private static ByteBuffer read(FileChannel channel, long offset, int size) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(size);
    while (bytes.hasRemaining()) {
      if (channel.read(bytes, offset + bytes.position()) < 0) {
        break;
      }
    }
    return bytes.flip();
  }
}
