package dev.prestage.simulator.trace;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import java.util.zip.ZipException;

/// Decompresses all members of a gzip file (RFC 1952), one behind the other.
///
/// The JDK's own stream takes whatever follows a member and is no whole header of another for the
/// file's end, so that a file that was cut off there looks complete. Here it is an error. Zeros
/// behind the last member are padding, as they are for `gzip` itself.
final class GzipMembers extends InputStream {
  private static final int HEADER_CRC = 1 << 1;
  private static final int EXTRA = 1 << 2;
  private static final int NAME = 1 << 3;
  private static final int COMMENT = 1 << 4;
  private static final int DEFLATE = 8;

  private final InputStream in;
  private final byte[] buffer;
  private final Inflater inflater = new Inflater(true);
  private final CRC32 crc = new CRC32();

  /// What was read and not yet used: from [#at] to [#end].
  private int at;

  private int end;
  private boolean ended;

  /// @param in begins with a member; closed with this
  GzipMembers(InputStream in, int bufferBytes) throws IOException {
    this.in = in;
    this.buffer = new byte[bufferBytes];
    readHeader(next());
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] target, int offset, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    while (!ended) {
      int inflated = inflate(target, offset, length);
      if (inflated > 0) {
        crc.update(target, offset, inflated);
        return inflated;
      }
      if (inflater.finished()) {
        readTrailer();
        nextMember();
      } else if (inflater.needsDictionary()) {
        throw new ZipException("a dictionary is needed");
      } else if (at == end && !fill()) {
        throw new EOFException("the file ends within a member");
      }
    }
    return -1;
  }

  private int inflate(byte[] target, int offset, int length) throws ZipException {
    inflater.setInput(buffer, at, end - at);
    try {
      int inflated = inflater.inflate(target, offset, length);
      at = end - inflater.getRemaining();
      return inflated;
    } catch (DataFormatException e) {
      ZipException damaged = new ZipException(e.getMessage());
      damaged.initCause(e);
      throw damaged;
    }
  }

  private void readTrailer() throws IOException {
    if (number(4) != crc.getValue() || number(4) != (inflater.getBytesWritten() & 0xffff_ffffL)) {
      throw new ZipException("a member's checksum or length is wrong");
    }
  }

  private void nextMember() throws IOException {
    if (at == end && !fill()) {
      ended = true;
      return;
    }
    int first = next();
    if (first == 0) {
      expectPadding();
      ended = true;
      return;
    }
    readHeader(first);
    inflater.reset();
    crc.reset();
  }

  private void expectPadding() throws IOException {
    while (at < end || fill()) {
      if (next() != 0) {
        throw new ZipException("more than zeros follow the last member");
      }
    }
  }

  private void readHeader(int first) throws IOException {
    if (first != 0x1f || next() != 0x8b) {
      throw new ZipException("no further member follows a member");
    }
    if (next() != DEFLATE) {
      throw new ZipException("a member is not deflated");
    }
    int flags = next();
    // Modification time, level and system.
    skip(6);
    if ((flags & EXTRA) != 0) {
      skip((int) number(2));
    }
    if ((flags & NAME) != 0) {
      skipText();
    }
    if ((flags & COMMENT) != 0) {
      skipText();
    }
    if ((flags & HEADER_CRC) != 0) {
      skip(2);
    }
  }

  private void skip(int bytes) throws IOException {
    for (int i = 0; i < bytes; i++) {
      next();
    }
  }

  private void skipText() throws IOException {
    while (next() != 0) {}
  }

  /// A little-endian number.
  private long number(int bytes) throws IOException {
    long value = 0;
    for (int i = 0; i < bytes; i++) {
      value |= (long) next() << (8 * i);
    }
    return value;
  }

  private int next() throws IOException {
    if (at == end && !fill()) {
      throw new EOFException("the file ends within a header or trailer");
    }
    return buffer[at++] & 0xff;
  }

  private boolean fill() throws IOException {
    int read = in.read(buffer);
    at = 0;
    end = Math.max(0, read);
    return read > 0;
  }

  @Override
  public void close() throws IOException {
    inflater.end();
    in.close();
  }
}
