package dev.prestage.benchmarks.demo;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/// A disk image whose every byte follows from a seed, so that whoever reads it can tell a wrong byte without another copy.
///
/// Word `w` of 8 bytes, little-endian, is SplitMix64's finaliser of `seed + w` times its increment (Steele, Lea and
/// Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
record SeededImage(long seed, long sizeBytes) {
  private static final int CHUNK = 1 << 20;

  private long word(long index) {
    long z = seed + index * 0x9E3779B97F4A7C15L;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  /// Writes the image, unless the file is this image already: same size, right bytes at its end.
  void write(Path file) throws IOException {
    Path folder = file.toAbsolutePath().getParent();
    if (folder != null) {
      Files.createDirectories(folder);
    }
    try (FileChannel channel = FileChannel.open(file, CREATE, READ, WRITE)) {
      ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK).order(ByteOrder.LITTLE_ENDIAN);
      if (channel.size() == sizeBytes && endIsRight(channel, buffer)) {
        return;
      }
      channel.truncate(0);
      for (long at = 0; at < sizeBytes; ) {
        buffer.clear().limit((int) Math.min(CHUNK, sizeBytes - at));
        while (buffer.hasRemaining()) {
          buffer.putLong(word((at + buffer.position()) / Long.BYTES));
        }
        buffer.flip();
        while (buffer.hasRemaining()) {
          at += channel.write(buffer, at);
        }
      }
    }
  }

  private boolean endIsRight(FileChannel channel, ByteBuffer buffer) throws IOException {
    long from = Math.max(0, sizeBytes - CHUNK);
    buffer.clear().limit((int) (sizeBytes - from));
    while (buffer.hasRemaining() && channel.read(buffer, from + buffer.position()) >= 0) {
      // Until the buffer is full.
    }
    return firstWrong(from, buffer.flip()) < 0;
  }

  /// The offset of the first byte that is not the image's, or -1.
  ///
  /// @param offset of the first byte in the image
  long firstWrong(long offset, ByteBuffer bytes) {
    ByteBuffer data = bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    long at = offset;
    while (data.hasRemaining()) {
      if (at % Long.BYTES == 0 && data.remaining() >= Long.BYTES) {
        if (data.getLong(data.position()) == word(at / Long.BYTES)) {
          data.position(data.position() + Long.BYTES);
          at += Long.BYTES;
          continue;
        }
      }
      byte expected = (byte) (word(at / Long.BYTES) >>> (8 * (at % Long.BYTES)));
      if (data.get() != expected) {
        return at;
      }
      at++;
    }
    return -1;
  }
}
