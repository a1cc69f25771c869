package dev.prestage.simulator.trace;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;

/// What `prestage history export` writes: the accesses of a host. Each image or snapshot is a
/// device, each VM a stream, and each run of a program a run.
///
/// A trace has pages of one size: those of the first row that is of blocks or memory. Rows of other
/// types, what no guest asked for, and what belongs to no run are left out.
final class HistoryCsvFormat implements TraceFormat {
  private static final String HEADER =
      "timeNanos,tenant,program,vm,type,space,resource,access,sizeBytes,cause,waited,latencyNanos,run";
  private static final String BLOCK = "file-block";
  private static final String PAGE = "memory-page";
  private static final int BLOCK_BYTES = 64 << 10;
  private static final int FIELDS = 13;

  @Override
  public String name() {
    return "history-csv";
  }

  @Override
  public String summary() {
    return "what `prestage history export` writes";
  }

  @Override
  public boolean recognises(Head head) {
    return head.startsWithLine(HEADER);
  }

  @Override
  public Trace read(Source source) throws IOException {
    Lines lines = new Lines(source, ',');
    if (!lines.next() || !lines.line().equals(HEADER)) {
      throw lines.wrong("no header of an exported history; expected " + HEADER);
    }
    return new Reading(source, lines).trace();
  }

  private static final class Reading {
    private final Source source;
    private final Lines lines;
    private final Map<String, Integer> streams = new HashMap<>();
    private final Map<String, Integer> runs = new HashMap<>();
    private String type = "";

    Reading(Source source, Lines lines) {
      this.source = source;
      this.lines = lines;
    }

    Trace trace() throws IOException {
      boolean more = lines.next();
      while (more && !lines.is(4, BLOCK) && !lines.is(4, PAGE)) {
        more = lines.next();
      }
      type = more ? lines.text(4) : BLOCK;
      int unit = type.equals(BLOCK) ? BLOCK_BYTES : Trace.PAGE_BYTES;
      Requests requests = new Requests(source, lines, unit, true).clock();
      for (; more; more = lines.next()) {
        row(requests);
      }
      return requests.toTrace();
    }

    private void row(Requests requests) throws TraceException {
      // Names of upstreams may hold the separator, so the other types' rows are not looked into.
      if (!lines.is(4, type)) {
        requests.skip("accesses of other types than " + type);
        return;
      }
      lines.expect(FIELDS, FIELDS, HEADER);
      long number = lines.number(12, "run");
      boolean touched =
          lines.is(7, "READ")
              || lines.is(7, "WRITE")
              || lines.is(7, "EXECUTE")
              || lines.is(7, "UNKNOWN");
      if (number == 0 || !touched || !lines.is(9, "DEMAND")) {
        requests.skip("accesses that belong to no run of a program");
        return;
      }
      String program = lines.text(1) + "/" + lines.text(2);
      String vm = lines.text(3);
      int stream = streams.computeIfAbsent(vm, _ -> streams.size() + 1);
      int ordinal = runs.computeIfAbsent(vm + "/" + number, _ -> runs.size() + 1);
      int device = requests.device(lines.text(1) + "/" + lines.text(5), 0);
      requests.pages(
          lines.number(0, "timeNanos"),
          requests.run(program, ordinal, stream),
          stream,
          device,
          lines.number(6, "resource"),
          1,
          lines.is(7, "WRITE"));
    }
  }
}
