package dev.prestage.simulator.trace;

import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.regex.Pattern;

/// The beginning of a decompressed trace file, to recognise its format by.
final class Head {
  static final int BYTES = 1 << 16;

  /// UTF-8's, read as Latin-1.
  private static final String BYTE_ORDER_MARK = "\u00ef\u00bb\u00bf";

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
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    return text.substring(text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length() : 0)
        .lines()
        .filter(line -> !line.isBlank() && !line.startsWith("#"))
        .findFirst();
  }
}
