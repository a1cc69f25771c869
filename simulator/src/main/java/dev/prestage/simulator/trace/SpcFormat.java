package dev.prestage.simulator.trace;

import java.io.IOException;
import java.util.regex.Pattern;

/// The Storage Performance Council's text format, in which the UMass repository keeps its financial
/// and web-search traces: `ASU,LBA,size,opcode,timestamp` and perhaps more fields. The LBA is in
/// sectors of 512 bytes, the size in bytes, the opcode `r` or `w`, the time in seconds. Each
/// application storage unit (ASU) is a device and a stream.
final class SpcFormat implements TraceFormat {
  private static final Pattern LINE = Pattern.compile("\\d+,\\d+,\\d+,[rRwW],\\d+(\\.\\d*)?(,.*)?");

  @Override
  public String name() {
    return "spc";
  }

  @Override
  public String summary() {
    return "text lines `ASU,LBA,bytes,r|w,seconds` (SPC, UMass financial and web search)";
  }

  @Override
  public boolean recognises(Head head) {
    return head.startsWithLine(LINE);
  }

  @Override
  public Trace read(Source source) throws IOException {
    Lines lines = new Lines(source, ',');
    Requests requests = Requests.ofBytes(source, lines, true).clock();
    int run = requests.onlyRun();
    while (lines.next()) {
      lines.expect(5, Integer.MAX_VALUE, "ASU,LBA,bytes,r|w,seconds");
      int device = requests.device("", lines.number(0, "ASU"));
      long offset = lines.multiply(lines.number(1, "LBA"), 512, "LBA");
      long bytes = lines.number(2, "size in bytes");
      boolean write = lines.is(3, "w") || lines.is(3, "W");
      if (!write && !lines.is(3, "r") && !lines.is(3, "R")) {
        throw lines.wrong(lines.quote(3) + " is no opcode; expected r or w");
      }
      long time = lines.secondsAsNanos(4, "time in seconds");
      requests.bytes(time, run, device, device, offset, bytes, write);
    }
    return requests.toTrace();
  }
}
