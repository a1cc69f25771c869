package dev.prestage.control.aggregate;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;

/// Numbers in as many bytes as they need, seven bits in each, the lowest first; texts in UTF-8
/// after their length.
final class Packed {
  private static final int MORE = 0x80;
  private static final int LONGEST = 64;

  private Packed() {}

  /// Packs.
  static final class Writer {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(1 << 16);

    /// Negative numbers take ten bytes.
    void number(long number) {
      long rest = number;
      while ((rest & -MORE) != 0) {
        bytes.write(((int) rest & 0x7f) | MORE);
        rest >>>= 7;
      }
      bytes.write((int) rest);
    }

    void text(String text) {
      byte[] encoded = text.getBytes(StandardCharsets.UTF_8);
      number(encoded.length);
      bytes.writeBytes(encoded);
    }

    /// All of it, and a checksum behind.
    byte[] bytes() {
      var check = new CRC32();
      check.update(bytes.toByteArray());
      number(check.getValue());
      return bytes.toByteArray();
    }
  }

  /// Unpacks what a writer made.
  ///
  /// Every method throws `IllegalArgumentException` where it cannot have been one.
  static final class Reader {
    private final byte[] bytes;
    private int at;

    Reader(byte[] bytes) {
      this.bytes = bytes;
    }

    long number() {
      long number = 0;
      for (int shift = 0; shift < LONGEST; shift += 7) {
        if (at == bytes.length) {
          break;
        }
        byte next = bytes[at++];
        number |= (next & 0x7fL) << shift;
        if (next >= 0) {
          return number;
        }
      }
      throw new IllegalArgumentException("the bytes end within a number");
    }

    /// A number that is not negative.
    long positive() {
      long number = number();
      if (number < 0) {
        throw new IllegalArgumentException(number + " is negative");
      }
      return number;
    }

    /// A number of things that take at least a byte each.
    int count() {
      long count = number();
      if (count < 0 || count > bytes.length - at) {
        throw new IllegalArgumentException(count + " is more than there are");
      }
      return (int) count;
    }

    String text() {
      int length = count();
      String text = new String(bytes, at, length, StandardCharsets.UTF_8);
      at += length;
      return text;
    }

    /// That nothing but the right checksum is left.
    void end() {
      var check = new CRC32();
      check.update(bytes, 0, at);
      if (number() != check.getValue() || at != bytes.length) {
        throw new IllegalArgumentException("the checksum is another");
      }
    }
  }
}
