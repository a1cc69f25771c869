package dev.prestage.simulator.trace;

import java.io.IOException;
import java.util.regex.Pattern;

/// The ASCII format of disk simulators (DiskSim, MQSim): a line `time device block count type` for
/// each request, block and count in sectors of 512 bytes, type 1 for a read and 0 for a write. Each
/// device is a stream.
///
/// DiskSim writes times as milliseconds with a decimal point, MQSim as whole nanoseconds. The first
/// line says which, and a file that has both is refused: a factor of a million is no guess to make.
final class DiskSimFormat implements TraceFormat {
  private static final Pattern LINE =
      Pattern.compile("\\d+(\\.\\d*)?[ \t]+(\\d+[ \t]+){3}[01][ \t]*");

  @Override
  public String name() {
    return "disksim";
  }

  @Override
  public String summary() {
    return "text lines `time device block count type`, 512-byte blocks, type 1 = read; decimal ms (DiskSim) or whole ns (MQSim)";
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
    boolean millis = false;
    for (boolean first = true; lines.next(); first = false) {
      lines.expect(5, 5, "time device block count type");
      boolean decimal = lines.has(0, '.');
      millis = first ? decimal : millis;
      if (decimal != millis) {
        throw lines.wrong(
            lines.quote(0)
                + (decimal
                    ? " is in milliseconds; expected whole nanoseconds, as in the first line"
                    : " is in nanoseconds; expected decimal milliseconds, as in the first line"));
      }
      long nanos =
          decimal ? lines.millisAsNanos(0, "milliseconds") : lines.number(0, "nanoseconds");
      int device = requests.device("", lines.number(1, "device"));
      long block = lines.number(2, "block");
      long count = lines.number(3, "number of blocks");
      boolean write = lines.is(4, "0");
      if (!write && !lines.is(4, "1")) {
        throw lines.wrong(lines.quote(4) + " is no type; expected 1 (read) or 0 (write)");
      }
      requests.sectors(nanos, run, device, device, block, count, write);
    }
    return requests.toTrace();
  }
}
