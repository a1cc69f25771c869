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
/// device.
final class NbdkitLogFormat implements TraceFormat {
  private static final String SHAPE =
      "date time connection=N Read|Write id=N offset=0xN count=0xN ...";
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
      boolean write = lines.fields() > 3 && lines.is(3, "Write");
      if (lines.fields() > 4 && lines.is(3, "Connect") && lines.startsWith(4, "export=")) {
        exports.put(connection(lines), requests.device(lines.text(4), 0));
      }
      if (!write && (lines.fields() <= 3 || !lines.is(3, "Read"))) {
        continue;
      }
      lines.expect(7, Integer.MAX_VALUE, SHAPE);
      int device = exports.get(connection(lines));
      if (device < 0) {
        // The log was cut at its front.
        device = requests.device("export=\"\"", 0);
      }
      long offset = lines.hex(5, "offset=0x", "offset");
      long bytes = lines.hex(6, "count=0x", "count");
      requests.bytes(dayNanos + timeNanos(lines), run, device, device, offset, bytes, write);
    }
    return requests.toTrace();
  }

  private static long connection(Lines lines) throws TraceException {
    String prefix = "connection=";
    if (!lines.startsWith(2, prefix)) {
      throw lines.wrong(lines.quote(2) + "; expected connection= and a number");
    }
    return lines.number(2, prefix.length(), "connection");
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
      throw lines.wrong(lines.quote(1) + " is no time; expected HH:MM:SS.microseconds");
    }
  }
}
