package dev.prestage.simulator.trace;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Pattern;

/// The beginning of a decompressed trace file, to recognise its format by.
final class Head {
  static final int BYTES = 1 << 16;

  private static final int LINES = 8;

  private final byte[] bytes;

  /// @param bytes at most [#BYTES], fewer only if the file has no more
  Head(byte[] bytes) {
    this.bytes = bytes;
  }

  /// The bytes themselves.
  byte[] bytes() {
    return bytes;
  }

  /// The first lines that say something: neither empty nor a comment, and not the last, which may
  /// be cut off, unless the file ends with it.
  List<String> lines() {
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    int end = bytes.length < BYTES ? text.length() : text.lastIndexOf('\n') + 1;
    return text.substring(0, end)
        .lines()
        .filter(line -> !line.isBlank() && !line.startsWith("#"))
        .limit(LINES)
        .toList();
  }

  /// Whether all first lines look so, and there is one.
  boolean eachLineIs(Pattern shape) {
    List<String> lines = lines();
    return !lines.isEmpty() && lines.stream().allMatch(line -> shape.matcher(line).matches());
  }

  /// Whether the first line is one of these.
  boolean startsWithLine(List<String> headers) {
    return lines().stream().limit(1).anyMatch(headers::contains);
  }
}
