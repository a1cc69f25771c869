package dev.prestage.simulator.trace;

import java.io.IOException;
import java.nio.charset.StandardCharsets;

/// A file of text lines with fields. Parses where the bytes lie and makes no objects, because a
/// trace has millions of lines.
///
/// Empty lines and lines that begin with `#` are passed over, and so is a byte order mark before
/// the first one. Fields are numbered from 0, lines from 1. What a message calls a field is the
/// format's word for it.
final class Lines implements Position {
  /// A longer line is no line of a trace; without a limit a binary file would be read as one.
  private static final int MAX_LINE_BYTES = 1 << 16;

  private static final int MAX_FIELDS = 32;
  private static final int MAX_QUOTED = 40;

  private final Source source;
  private final byte separator;
  private final int[] starts = new int[MAX_FIELDS];
  private final int[] ends = new int[MAX_FIELDS];
  private byte[] bytes = new byte[0];
  private int fields;
  private int lineStart;
  private int lineEnd;
  private long number;

  /// @param separator between two fields; a blank stands for any number of blanks and tabs
  Lines(Source source, char separator) {
    this.source = source;
    this.separator = (byte) separator;
  }

  /// Goes to the next line that says something.
  boolean next() throws IOException {
    while (find()) {
      if (lineEnd > lineStart && bytes[lineStart] != '#') {
        split();
        if (fields > 0) {
          return true;
        }
      }
    }
    return false;
  }

  /// Finds the next line. UTF-8's byte order mark stands before the first one in files that some
  /// editors wrote.
  private boolean find() throws IOException {
    boolean first = number == 0;
    boolean found = findLine();
    if (first
        && found
        && lineEnd - lineStart >= 3
        && (bytes[lineStart] & 0xff) == 0xef
        && (bytes[lineStart + 1] & 0xff) == 0xbb
        && (bytes[lineStart + 2] & 0xff) == 0xbf) {
      lineStart += 3;
    }
    return found;
  }

  private boolean findLine() throws IOException {
    int scanned = source.from();
    while (true) {
      bytes = source.buffer();
      int end = scanned;
      int to = source.to();
      while (end < to && bytes[end] != '\n') {
        end++;
      }
      lineStart = source.from();
      lineEnd = end;
      if (end < to) {
        source.skipTo(end + 1);
        break;
      }
      int length = end - lineStart;
      if (length > MAX_LINE_BYTES) {
        number++;
        throw wrong("longer than " + MAX_LINE_BYTES + " bytes; expected lines of text");
      }
      if (!source.more()) {
        if (length == 0) {
          return false;
        }
        bytes = source.buffer();
        lineStart = source.from();
        lineEnd = source.to();
        source.skipTo(lineEnd);
        break;
      }
      scanned = source.from() + length;
    }
    if (lineEnd > lineStart && bytes[lineEnd - 1] == '\r') {
      lineEnd--;
    }
    number++;
    return true;
  }

  private void split() {
    if (separator == ' ') {
      splitAtBlanks();
      return;
    }
    fields = 0;
    int start = lineStart;
    for (int i = lineStart; i <= lineEnd && fields < MAX_FIELDS; i++) {
      if (i == lineEnd || bytes[i] == separator) {
        starts[fields] = start;
        ends[fields++] = i;
        start = i + 1;
      }
    }
  }

  private void splitAtBlanks() {
    fields = 0;
    int i = lineStart;
    while (fields < MAX_FIELDS) {
      while (i < lineEnd && isBlank(bytes[i])) {
        i++;
      }
      if (i == lineEnd) {
        return;
      }
      starts[fields] = i;
      while (i < lineEnd && !isBlank(bytes[i])) {
        i++;
      }
      ends[fields++] = i;
    }
  }

  private static boolean isBlank(byte b) {
    return b == ' ' || b == '\t';
  }

  /// How many fields the line has; those beyond the 32nd are not seen.
  int fields() {
    return fields;
  }

  /// Throws unless the line has so many fields.
  ///
  /// @param shape of a line, to be named to the user
  void expect(int atLeast, int atMost, String shape) throws TraceException {
    if (fields < atLeast || fields > atMost) {
      throw wrong(fields + (fields == 1 ? " field" : " fields") + "; expected " + shape);
    }
  }

  /// Makes the line one that begins later, as if this many bytes did not stand before it.
  void cutFront(int length) {
    lineStart += length;
    split();
  }

  /// The line from a field's beginning on.
  String lineFrom(int field) {
    return new String(bytes, starts[field], lineEnd - starts[field], StandardCharsets.UTF_8);
  }

  /// The whole line.
  String line() {
    return new String(bytes, lineStart, lineEnd - lineStart, StandardCharsets.ISO_8859_1);
  }

  String text(int field) {
    return new String(bytes, starts[field], length(field), StandardCharsets.UTF_8);
  }

  int length(int field) {
    return ends[field] - starts[field];
  }

  /// A byte of a field, from 0; 0 behind its end.
  byte at(int field, int index) {
    return index < length(field) ? bytes[starts[field] + index] : 0;
  }

  boolean is(int field, String expected) {
    return length(field) == expected.length() && startsWith(field, expected);
  }

  /// Whether a field begins so; the beginning is ASCII.
  boolean startsWith(int field, String prefix) {
    for (int i = 0; i < prefix.length(); i++) {
      if (at(field, i) != prefix.charAt(i)) {
        return false;
      }
    }
    return true;
  }

  /// Whether a field has this letter in it.
  boolean has(int field, char letter) {
    for (int i = starts[field]; i < ends[field]; i++) {
      if (bytes[i] == letter) {
        return true;
      }
    }
    return false;
  }

  /// Whether a field looks as a pattern says, in which `9` stands for one digit and the rest for
  /// itself.
  boolean looksLike(int field, String pattern) {
    boolean alike = length(field) == pattern.length();
    for (int i = 0; alike && i < pattern.length(); i++) {
      byte found = at(field, i);
      char expected = pattern.charAt(i);
      alike = expected == '9' ? found >= '0' && found <= '9' : found == expected;
    }
    return alike;
  }

  /// A decimal number that is not negative.
  long number(int field, String what) throws TraceException {
    return number(starts[field], ends[field], field, what);
  }

  /// The same, after the field's first characters.
  long number(int field, int skip, String what) throws TraceException {
    return number(starts[field] + skip, ends[field], field, what);
  }

  /// The same, no larger than an int.
  int smallNumber(int field, String what) throws TraceException {
    long value = number(field, what);
    if (value > Integer.MAX_VALUE) {
      throw wrong(quote(field) + " is too large (" + what + ")");
    }
    return (int) value;
  }

  /// A number in hexadecimal digits after a prefix such as `offset=0x`.
  long hex(int field, String prefix, String what) throws TraceException {
    int start = starts[field] + prefix.length();
    if (!startsWith(field, prefix) || start == ends[field]) {
      throw wrong(quote(field) + "; expected " + prefix + " and hexadecimal digits (" + what + ")");
    }
    long value = 0;
    for (int i = start; i < ends[field]; i++) {
      int digit = Character.digit(bytes[i], 16);
      if (digit < 0) {
        throw wrong(quote(field) + " has no hexadecimal number (" + what + ")");
      }
      if (value >>> 59 != 0) {
        throw wrong(quote(field) + " is too large (" + what + ")");
      }
      value = value << 4 | digit;
    }
    return value;
  }

  /// Seconds with a fraction, in nanoseconds; what is finer is cut off.
  long secondsAsNanos(int field, String what) throws TraceException {
    return fixedPoint(field, 9, what);
  }

  /// Milliseconds with a fraction, in nanoseconds; what is finer is cut off.
  long millisAsNanos(int field, String what) throws TraceException {
    return fixedPoint(field, 6, what);
  }

  /// A decimal number with a fraction, times ten to the power of so many digits.
  private long fixedPoint(int field, int fractionDigits, String what) throws TraceException {
    int dot = starts[field];
    while (dot < ends[field] && bytes[dot] != '.') {
      dot++;
    }
    long whole = number(starts[field], dot, field, what);
    long fraction = 0;
    long scale = 1;
    int digits = 0;
    for (int i = dot + 1; i < ends[field]; i++) {
      int digit = bytes[i] - '0';
      if (digit < 0 || digit > 9) {
        throw notANumber(field, what);
      }
      if (digits < fractionDigits) {
        fraction = 10 * fraction + digit;
        scale *= 10;
        digits++;
      }
    }
    for (; digits < fractionDigits; digits++) {
      fraction *= 10;
      scale *= 10;
    }
    return multiply(whole, scale, what) + fraction;
  }

  /// A product, such as of microseconds and their nanoseconds.
  long multiply(long value, long factor, String what) throws TraceException {
    if (value > (Long.MAX_VALUE >> 1) / factor) {
      throw wrong(value + " is too large (" + what + ")");
    }
    return value * factor;
  }

  private long number(int from, int to, int field, String what) throws TraceException {
    long value = 0;
    for (int i = from; i < to; i++) {
      int digit = bytes[i] - '0';
      if (digit < 0 || digit > 9) {
        throw bytes[from] == '-' && i == from && to > from + 1
            ? wrong(quote(field) + " is negative (" + what + ")")
            : notANumber(field, what);
      }
      if (value > (Long.MAX_VALUE - digit) / 10) {
        throw wrong(quote(field) + " is too large (" + what + ")");
      }
      value = 10 * value + digit;
    }
    if (from >= to) {
      throw notANumber(field, what);
    }
    return value;
  }

  private TraceException notANumber(int field, String what) {
    return wrong(quote(field) + " is not a number (" + what + ")");
  }

  /// A field in quotes for a message: short, and without what a terminal would obey.
  String quote(int field) {
    String text = text(field).replaceAll("[^\\x20-\\x7e]", "?");
    return '"' + (text.length() > MAX_QUOTED ? text.substring(0, MAX_QUOTED) + "..." : text) + '"';
  }

  @Override
  public TraceException wrong(String what) {
    return new TraceException(source.fileName() + ", " + place() + ": " + what);
  }

  @Override
  public String place() {
    return "line " + number;
  }
}
