package dev.prestage.simulator.trace;

import it.unimi.dsi.fastutil.longs.Long2IntOpenHashMap;
import java.io.IOException;
import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.LocalTime;
import java.util.regex.Pattern;

/// What nbdkit's log filter writes: `date time connection=N Read id=N offset=0xN count=0xN ...`
/// when a client asks, and a line with `...Read` when it has its answer, which is not read. Times
/// are UTC.
///
/// Only `Read` and `Write` are accesses; zeroing, trimming, flushing, caching and asking for
/// extents move no data. The connections of one client to one export are one stream; an export is a
/// device. A name with blanks stands in double quotes, as for a shell. Connections are numbered
/// anew where a log of another nbdkit follows. A line of another shape ends the reading.
final class NbdkitLogFormat implements TraceFormat {
  private static final String SHAPE =
      "date time connection=N Read|Write id=N offset=0xN count=0xN ...";
  private static final String CONNECTION = "connection=";
  private static final String EXPORT = "export=";
  private static final String UNKNOWN_EXPORT = "export=\"\"";
  private static final Pattern LINE =
      Pattern.compile(
          "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{6} (connection=\\d+ )?(\\.\\.\\.)?[A-Z][a-z]+( .*)?");

  @Override
  public String name() {
    return "nbdkit-log";
  }

  @Override
  public String summary() {
    return "text that nbdkit's log filter writes";
  }

  @Override
  public boolean recognises(Head head) {
    return head.startsWithLine(LINE);
  }

  @Override
  public Trace read(Source source) throws IOException {
    Lines lines = new Lines(source, ' ');
    Requests requests = Requests.ofBytes(source, lines, true).clock();
    int run = requests.onlyRun();
    Long2IntOpenHashMap exports = new Long2IntOpenHashMap();
    exports.defaultReturnValue(-1);
    String date = "";
    long dayNanos = 0;
    while (lines.next()) {
      lines.expect(3, Integer.MAX_VALUE, SHAPE);
      if (!lines.is(0, date)) {
        date = lines.text(0);
        dayNanos = dayNanos(lines, date);
      }
      if (!lines.looksLike(1, "99:99:99.999999")) {
        throw noTime(lines);
      }
      if (!lines.startsWith(2, CONNECTION)) {
        if (lines.is(2, "Ready")) {
          exports.clear();
        }
        expectAction(lines, 2);
        continue;
      }
      lines.expect(4, Integer.MAX_VALUE, SHAPE);
      expectAction(lines, 3);
      if (lines.fields() > 4 && lines.is(3, "Connect") && lines.startsWith(4, EXPORT)) {
        exports.put(connection(lines), requests.device(export(lines), 0));
      }
      boolean write = lines.is(3, "Write");
      if (!write && !lines.is(3, "Read")) {
        continue;
      }
      lines.expect(7, Integer.MAX_VALUE, SHAPE);
      int device = exports.get(connection(lines));
      if (device < 0) {
        // The log was cut at its front.
        device = requests.device(UNKNOWN_EXPORT, 0);
      }
      long offset = lines.hex(5, "offset=0x", "offset");
      long bytes = lines.hex(6, "count=0x", "count");
      requests.bytes(dayNanos + timeNanos(lines), run, device, device, offset, bytes, write);
    }
    return requests.toTrace();
  }

  /// An action begins with a capital; dots before it say that it is done.
  private static void expectAction(Lines lines, int field) throws TraceException {
    byte first = lines.at(field, lines.startsWith(field, "...") ? 3 : 0);
    if (first < 'A' || first > 'Z') {
      throw lines.wrong(lines.quote(field) + " is no action; expected " + SHAPE);
    }
  }

  /// What stands behind `export=`, to the quote that ends it or to the next blank.
  private static String export(Lines lines) throws TraceException {
    String rest = lines.lineFrom(4);
    int at = EXPORT.length();
    if (rest.length() == at || rest.charAt(at) != '"') {
      return lines.text(4);
    }
    for (at++; at < rest.length() && rest.charAt(at) != '"'; at++) {
      if (rest.charAt(at) == '\\') {
        at++;
      }
    }
    if (at >= rest.length()) {
      throw lines.wrong(lines.quote(4) + " has no closing quote (export)");
    }
    return rest.substring(0, at + 1);
  }

  private static long connection(Lines lines) throws TraceException {
    return lines.number(2, CONNECTION.length(), "connection");
  }

  private static long dayNanos(Lines lines, String date) throws TraceException {
    try {
      return lines.multiply(LocalDate.parse(date).toEpochDay(), 86_400_000_000_000L, "date");
    } catch (DateTimeException _) {
      throw lines.wrong(lines.quote(0) + " is no date; expected YYYY-MM-DD");
    }
  }

  private static long timeNanos(Lines lines) throws TraceException {
    try {
      return LocalTime.parse(lines.text(1)).toNanoOfDay();
    } catch (DateTimeException _) {
      throw noTime(lines);
    }
  }

  private static TraceException noTime(Lines lines) {
    return lines.wrong(lines.quote(1) + " is no time; expected HH:MM:SS.microseconds");
  }
}
