package dev.prestage.simulator.trace;

import java.io.IOException;
import java.util.regex.Pattern;

/// The CSV of the Microsoft Research Cambridge traces (Narayanan, Donnelly and Rowstron, "Write
/// Off-Loading", FAST '08): `Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime`, the time
/// in Windows ticks of 100 ns, offset and size in bytes. Each disk of each host is a device and a
/// stream.
final class MsrFormat implements TraceFormat {
  private static final String SHAPE = "Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime";
  private static final Pattern LINE =
      Pattern.compile("\\d+,[^,]*,\\d+,([Rr]ead|[Ww]rite),\\d+,\\d+,\\d+");

  @Override
  public String name() {
    return "msr";
  }

  @Override
  public String summary() {
    return "CSV `" + SHAPE + "` (MSR Cambridge)";
  }

  @Override
  public boolean recognises(Head head) {
    return head.startsWithLine(LINE) || head.startsWithLine(SHAPE);
  }

  @Override
  public Trace read(Source source) throws IOException {
    Lines lines = new Lines(source, ',');
    Requests requests = Requests.ofBytes(source, lines, true).clock();
    int run = requests.onlyRun();
    String host = "";
    long firstTicks = -1;
    boolean header = lines.next() && lines.line().equals(SHAPE);
    for (boolean more = !header || lines.next(); more; more = lines.next()) {
      lines.expect(7, 7, SHAPE);
      long ticks = lines.number(0, "Timestamp");
      if (firstTicks < 0) {
        // Ticks since the year 1601 in nanoseconds are more than a long holds.
        firstTicks = ticks;
      }
      if (!lines.is(1, host)) {
        host = lines.text(1);
      }
      int device = requests.device(host, lines.number(2, "DiskNumber"));
      boolean write = lines.is(3, "Write") || lines.is(3, "write");
      if (!write && !lines.is(3, "Read") && !lines.is(3, "read")) {
        throw lines.wrong(lines.quote(3) + " is no Type; expected Read or Write");
      }
      long offset = lines.number(4, "Offset");
      long bytes = lines.number(5, "Size");
      long nanos = nanos(lines, ticks - firstTicks);
      requests.bytes(nanos, run, device, device, offset, bytes, write);
    }
    return requests.toTrace();
  }

  private static long nanos(Lines lines, long ticks) throws TraceException {
    return ticks < 0
        ? -lines.multiply(-ticks, 100, "Timestamp")
        : lines.multiply(ticks, 100, "Timestamp");
  }
}
