package dev.prestage.simulator.replay;

import dev.prestage.simulator.cache.PageCache;
import dev.prestage.simulator.trace.Trace;

/// A trace replayed against a cache without prefetch.
public final class CacheLoop {
  private CacheLoop() {}

  /// Replays the trace.
  public static OpenLoop.Result run(Trace trace, PageCache cache) {
    CpuTime cpu = new CpuTime();
    long missedPages = 0;
    long missedRequests = 0;
    for (int request = 0; request < trace.requests(); request++) {
      long first = trace.first(request);
      int missed = 0;
      for (int i = 0; i < trace.count(request); i++) {
        missed += cache.access(first + i) ? 0 : 1;
      }
      missedPages += missed;
      missedRequests += missed > 0 ? 1 : 0;
    }
    return new OpenLoop.Result(
        (double) missedPages / trace.pages(),
        (double) missedRequests / trace.requests(),
        0,
        0,
        0,
        cpu.micros() / trace.requests(),
        0,
        0,
        Double.NaN,
        Double.NaN);
  }
}
