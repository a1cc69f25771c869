package dev.prestage.engine.predict;

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UTFDataFormatException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;

/// Bytes of a file behind a head that tells whether they are whole: magic, version, their length
/// and their CRC-32C. Big-endian.
final class Envelope {
  private static final int HEAD_BYTES = Long.BYTES + 3 * Integer.BYTES;

  private final int version;
  private final byte[] inside;

  /// @param version of what is inside
  Envelope(int version, byte[] inside) {
    this.version = version;
    this.inside = inside;
  }

  /// The version of what is inside.
  int version() {
    return version;
  }

  /// The file.
  byte[] seal(long magic) {
    return ByteBuffer.allocate(HEAD_BYTES + inside.length)
        .putLong(magic)
        .putInt(version)
        .putInt(inside.length)
        .putInt(checksum(inside))
        .put(inside)
        .array();
  }

  /// What is in a file; the buffer's position stays where it is.
  ///
  /// @param what it should be, with its article
  /// @param oldest the first version that is read
  /// @param newest the last one
  /// @throws ModelException with the reason if it is anything else
  static Envelope open(ByteBuffer file, long magic, String what, int oldest, int newest)
      throws ModelException {
    ByteBuffer in = file.slice();
    if (in.remaining() < HEAD_BYTES || in.getLong() != magic) {
      throw new ModelException("it is not " + what);
    }
    int version = in.getInt();
    if (version < oldest || version > newest) {
      throw new ModelException(
          "it has format version " + version + ", this Prestage reads " + newest);
    }
    int length = in.getInt();
    int checksum = in.getInt();
    if (length != in.remaining()) {
      throw new ModelException("it is cut: " + in.remaining() + " of " + length + " bytes");
    }
    byte[] inside = new byte[length];
    in.get(inside);
    if (checksum(inside) != checksum) {
      throw new ModelException("its checksum is wrong: it was damaged");
    }
    return new Envelope(version, inside);
  }

  /// Reads what is inside.
  @FunctionalInterface
  interface Reader<T> {
    T from(DataInputStream in) throws IOException;
  }

  /// What a reader makes of all that is inside.
  ///
  /// @throws ModelException with the reason if nothing can be made of it
  <T> T read(Reader<T> reader) throws ModelException {
    try (var in = new DataInputStream(new ByteArrayInputStream(inside))) {
      T read = reader.from(in);
      if (in.available() > 0) {
        throw new ModelException("it has " + in.available() + " bytes left over");
      }
      return read;
    } catch (ModelException e) {
      throw e;
    } catch (EOFException e) {
      throw new ModelException("it ends within what it announces");
    } catch (UTFDataFormatException | IllegalArgumentException e) {
      throw new ModelException("it is malformed: " + e.getMessage());
    } catch (IOException e) {
      throw new UncheckedIOException("an array cannot fail", e);
    }
  }

  private static int checksum(byte[] bytes) {
    var crc = new CRC32C();
    crc.update(bytes);
    return (int) crc.getValue();
  }
}
