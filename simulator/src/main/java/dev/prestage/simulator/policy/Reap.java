package dev.prestage.simulator.policy;

/// Record and replay: what the last run touched is fetched at the start of the next, in the
/// recorded order.
///
/// After REAP (Ustiugov et al., "Benchmarking, Analysis, and Optimization of Serverless Function
/// Snapshots", ASPLOS 2021), which records the working set of one invocation and fetches it as a
/// whole before the next. REAP records once; here each run that touches anything is recorded anew,
/// so that an upgraded program is wrong for one run only.
///
/// Limitations: it fetches nothing in the first run, so it does nothing for a trace that is one
/// run; what the last run touched by chance is fetched in vain; it does not look at the present
/// run, so what is evicted before use is not fetched again.
public final class Reap implements Prefetcher {
  private long[] recorded;

  /// Nothing was recorded.
  public Reap() {
    this(new long[0]);
  }

  /// @param recorded what a run touched before, in order; empty if none was recorded
  public Reap(long[] recorded) {
    this.recorded = recorded.clone();
  }

  @Override
  public Copy start(Fetches fetches) {
    return new RunReplay(recorded, fetches, touched -> recorded = touched);
  }

  @Override
  public long modelBytes() {
    return 8L * recorded.length;
  }
}
