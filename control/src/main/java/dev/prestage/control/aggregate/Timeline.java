package dev.prestage.control.aggregate;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.history.AccessHistory;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// Touches, waits and units by buckets of time. Buckets begin at multiples of their length since
/// the epoch; empty ones are there, too.
public final class Timeline implements AccessHistory.Visitor {
  /// Units that are told apart in one bucket: 4 GiB of a disk; 8 MB of keys.
  static final int UNITS = 1 << 16;

  private final long toNanos;
  private final long bucketNanos;
  private final int mostUnits;
  private final List<Reply.TimelineRow> rows = new ArrayList<>();
  private final Set<Unit> units = new HashSet<>();
  private LogHistogram latency = new LogHistogram();
  private long startNanos;
  private long touches;
  private long waited;
  private boolean exact = true;

  /// @param fromNanos where the first bucket begins, at the latest
  /// @param toNanos where the last one ends, at the earliest
  public Timeline(long fromNanos, long toNanos, long bucketNanos) {
    this(fromNanos, toNanos, bucketNanos, UNITS);
  }

  Timeline(long fromNanos, long toNanos, long bucketNanos, int mostUnits) {
    this.toNanos = toNanos;
    this.bucketNanos = bucketNanos;
    this.mostUnits = mostUnits;
    this.startNanos = Math.floorDiv(fromNanos, bucketNanos) * bucketNanos;
  }

  @Override
  public boolean visit(AccessHistory.Row row) {
    while (row.timeNanos() - startNanos >= bucketNanos) {
      end();
    }
    if (Touches.isTouch(row)) {
      touches++;
      waited += row.waited() ? 1 : 0;
      latency.add(row.latencyNanos());
      Unit unit = Unit.of(row);
      if (units.size() < mostUnits) {
        units.add(unit);
      } else if (!units.contains(unit)) {
        exact = false;
      }
    }
    return true;
  }

  private void end() {
    rows.add(
        new Reply.TimelineRow(
            startNanos,
            touches,
            waited,
            units.size(),
            latency.quantile(0.5),
            latency.quantile(0.99)));
    // Time ends in 2262; what begins there ends the loops.
    startNanos =
        startNanos > Long.MAX_VALUE - bucketNanos ? Long.MAX_VALUE : startNanos + bucketNanos;
    touches = 0;
    waited = 0;
    units.clear();
    latency = new LogHistogram();
  }

  /// What was found, oldest first.
  public Reply.Timeline reply() {
    while (startNanos < toNanos) {
      end();
    }
    return new Reply.Timeline(bucketNanos, exact, rows);
  }
}
