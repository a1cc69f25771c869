package dev.prestage.simulator.trace;

import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.regex.Pattern;

/// The beginning of a decompressed trace file, to recognise its format by.
final class Head {
  static final int BYTES = 1 << 16;

  private final byte[] bytes;

  /// @param bytes at most [#BYTES], fewer only if the file has no more
  Head(byte[] bytes) {
    this.bytes = bytes;
  }

  /// The bytes themselves.
  byte[] bytes() {
    return bytes;
  }

  /// Whether the first line that is neither empty nor a comment looks so. The first alone, so that
  /// a malformed one behind it is reported as that.
  boolean startsWithLine(Pattern shape) {
    return firstLine().filter(line -> shape.matcher(line).matches()).isPresent();
  }

  /// Whether that line is this.
  boolean startsWithLine(String header) {
    return firstLine().filter(header::equals).isPresent();
  }

  private Optional<String> firstLine() {
    return new String(bytes, StandardCharsets.ISO_8859_1)
        .lines()
        .filter(line -> !line.isBlank() && !line.startsWith("#"))
        .findFirst();
  }
}
