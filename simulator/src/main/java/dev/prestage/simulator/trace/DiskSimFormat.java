package dev.prestage.simulator.trace;

import java.io.IOException;
import java.util.regex.Pattern;

/// The ASCII format of disk simulators (DiskSim, MQSim): a line `time device block count type` for
/// each request, here as MQSim has it: time in nanoseconds, block and count in sectors of 512
/// bytes, type 1 for a read and 0 for a write. Each device is a stream.
final class DiskSimFormat implements TraceFormat {
  private static final Pattern LINE = Pattern.compile("(\\d+[ \t]+){4}[01][ \t]*");

  @Override
  public String name() {
    return "disksim";
  }

  @Override
  public String summary() {
    return "text lines `nanoseconds device block count type`, 512-byte blocks, type 1 = read (MQSim)";
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
    while (lines.next()) {
      lines.expect(5, 5, "nanoseconds device block count type");
      long nanos = lines.number(0, "nanoseconds");
      int device = requests.device("", lines.number(1, "device"));
      long first = lines.number(2, "block");
      long count = lines.number(3, "number of blocks");
      boolean write = lines.is(4, "0");
      if (!write && !lines.is(4, "1")) {
        throw lines.wrong(lines.quote(4) + " is no type; expected 1 (read) or 0 (write)");
      }
      requests.sectors(nanos, run, device, device, first, count, write);
    }
    return requests.toTrace();
  }
}
