package dev.prestage.simulator.trace;

import java.io.IOException;
import java.util.regex.Pattern;

/// The text format of the ARC paper's traces (Megiddo and Modha, FAST '03): a line `start count
/// ignored request` for each request, in blocks of 512 bytes. It has no times and does not tell
/// reads from writes; all are taken for reads.
final class LisFormat implements TraceFormat {
  private static final Pattern LINE = Pattern.compile("\\d+[ \t]+\\d+[ \t]+\\d+[ \t]+\\d+[ \t]*");

  @Override
  public String name() {
    return "lis";
  }

  @Override
  public String summary() {
    return "text lines `start count ignored request`, 512-byte blocks (the ARC paper's traces)";
  }

  @Override
  public boolean recognises(Head head) {
    return head.startsWithLine(LINE);
  }

  @Override
  public Trace read(Source source) throws IOException {
    Lines lines = new Lines(source, ' ');
    Requests requests = Requests.ofBytes(source, lines, false);
    int run = requests.onlyRun();
    int device = requests.device("", 0);
    while (lines.next()) {
      lines.expect(4, 4, "start count ignored request");
      long start = lines.number(0, "start block");
      long count = lines.number(1, "number of blocks");
      requests.sectors(0, run, 0, device, start, count, false);
    }
    return requests.toTrace();
  }
}
