package dev.prestage.simulator.trace;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.OptionalInt;

/// The decompressed bytes of a trace file: a window that moves from its beginning to its end.
///
/// It hands out its buffer, so that lines and records are parsed where they lie.
final class Source implements AutoCloseable {
  private static final int BUFFER_BYTES = 1 << 18;

  private final Path path;
  private final String name;
  private final OptionalInt unitBytes;
  private final InputStream in;
  private byte[] buffer = new byte[BUFFER_BYTES];
  private int from;
  private int to;

  /// @param in the decompressed bytes; closed with this
  Source(Path path, String name, OptionalInt unitBytes, InputStream in) {
    this.path = path;
    this.name = name;
    this.unitBytes = unitBytes;
    this.in = in;
  }

  /// The file.
  Path path() {
    return path;
  }

  /// The file as messages name it.
  String fileName() {
    return fileName(path);
  }

  static String fileName(Path path) {
    Path last = path.getFileName();
    return last == null ? path.toString() : last.toString();
  }

  /// The name of the trace.
  String name() {
    return name;
  }

  /// The size of a page, where the user says it.
  OptionalInt unitBytes() {
    return unitBytes;
  }

  /// The window's bytes lie in here, [#from] (inclusive) to [#to] (exclusive). Valid until [#more].
  byte[] buffer() {
    return buffer;
  }

  int from() {
    return from;
  }

  int to() {
    return to;
  }

  /// Moves the window's beginning.
  void skipTo(int position) {
    from = position;
  }

  /// Moves the window's end: keeps what is in it, perhaps elsewhere in the buffer, and adds more.
  ///
  /// @return false at the end of the file
  boolean more() throws IOException {
    if (from > 0) {
      System.arraycopy(buffer, from, buffer, 0, to - from);
      to -= from;
      from = 0;
    }
    if (to == buffer.length) {
      buffer = Arrays.copyOf(buffer, 2 * to);
    }
    int read = in.read(buffer, to, buffer.length - to);
    if (read < 0) {
      return false;
    }
    to += read;
    return true;
  }

  /// The beginning of the file. Only before anything was skipped.
  Head head() throws IOException {
    while (to < Head.BYTES && more()) {}
    return new Head(Arrays.copyOf(buffer, Math.min(to, Head.BYTES)));
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
