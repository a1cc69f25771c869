package dev.prestage.simulator.trace;

import java.io.IOException;
import java.util.regex.Pattern;

/// What `blkparse` prints about the Linux block layer unless told otherwise: `major,minor cpu
/// sequence seconds pid action RWBS sector + sectors [command]`, then a summary, which ends the
/// reading.
///
/// Only queue events (`Q`) of reads and writes are accesses, read-ahead included, because what the
/// kernel fetched ahead the disk had to bring. Each device is a device, each process a stream. A
/// recording of stacked devices, such as dm-0 on sda, has each access once for each of them.
final class BlkparseFormat implements TraceFormat {
  private static final String SHAPE =
      "major,minor cpu sequence seconds pid action RWBS sector + sectors [command]";
  private static final Pattern LINE =
      Pattern.compile(
          "\\s*\\d+,\\d+\\s+\\d+\\s+\\d+\\s+\\d+\\.\\d+\\s+\\d+\\s+[A-Za-z]{1,2}(\\s.*)?");

  @Override
  public String name() {
    return "blkparse";
  }

  @Override
  public String summary() {
    return "text that blkparse prints: queue events of reads and writes";
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
    while (lines.next() && !isSummary(lines)) {
      lines.expect(6, Integer.MAX_VALUE, SHAPE);
      if (!lines.is(5, "Q") || lines.fields() < 9 || !lines.is(8, "+")) {
        continue;
      }
      boolean write = lines.has(6, 'W');
      // A discard moves no data.
      if (lines.has(6, 'D') || (!write && !lines.has(6, 'R'))) {
        continue;
      }
      lines.expect(10, Integer.MAX_VALUE, SHAPE);
      int device = requests.device("", device(lines));
      long nanos = lines.secondsAsNanos(3, "seconds");
      int pid = lines.smallNumber(4, "pid");
      long first = lines.number(7, "sector");
      long count = lines.number(9, "number of sectors");
      requests.sectors(nanos, run, pid, device, first, count, write);
    }
    return requests.toTrace();
  }

  private static boolean isSummary(Lines lines) {
    return lines.startsWith(0, "CPU") || lines.startsWith(0, "Total");
  }

  /// Major and minor number as the kernel packs them: 12 and 20 bits.
  private static long device(Lines lines) throws TraceException {
    String text = lines.text(0);
    int comma = text.indexOf(',');
    try {
      int major = Integer.parseInt(text.substring(0, Math.max(0, comma)));
      int minor = Integer.parseInt(text.substring(comma + 1));
      if (major >= 0 && minor >= 0) {
        return (long) major << 32 | minor;
      }
    } catch (NumberFormatException _) {
      // Said below.
    }
    throw lines.wrong(lines.quote(0) + " is no device; expected major,minor");
  }
}
