package dev.prestage.simulator.policy;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// Record and replay: what the last run touched is fetched at the start of the next, in the
/// recorded order.
///
/// After REAP (Ustiugov et al., "Benchmarking, Analysis, and Optimization of Serverless Function
/// Snapshots", ASPLOS 2021), which records the working set of one invocation and fetches it as a
/// whole before the next.
public final class LastRunReplay implements Forecaster {
  private List<Long> recorded;

  /// @param recorded what a run touched before, in order; empty if none was recorded
  public LastRunReplay(List<Long> recorded) {
    this.recorded = List.copyOf(recorded);
  }

  @Override
  public Cursor start(int vm, long nowNanos) {
    return new Recording(recorded, nowNanos);
  }

  private final class Recording implements Cursor {
    private final List<Long> replayed;
    private final long startNanos;
    private final Set<Long> seen = new HashSet<>();
    private final List<Long> touched = new ArrayList<>();

    private Recording(List<Long> replayed, long startNanos) {
      this.replayed = replayed;
      this.startNanos = startNanos;
    }

    @Override
    public void observe(Access access) {
      if (seen.add(access.resource())) {
        touched.add(access.resource());
      }
    }

    @Override
    public void forecast(long nowNanos, long horizonNanos, Forecast into) {
      for (int rank = 0; rank < replayed.size(); rank++) {
        if (!seen.contains(replayed.get(rank))) {
          into.add(replayed.get(rank), 1, startNanos + rank, Expert.PEER);
        }
      }
    }

    @Override
    public void next(long nowNanos, Forecast into) {}

    @Override
    public void stop(long nowNanos) {
      if (!touched.isEmpty()) {
        recorded = List.copyOf(touched);
      }
    }
  }
}
