package dev.prestage.simulator.policy;

import dev.prestage.simulator.trace.Trace;

/// What decides, for all programs of a trace, which pages are fetched ahead.
public interface Policy {
  /// A run starts.
  ///
  /// @param number the run's index in its trace
  /// @param nowNanos when, on the simulated clock
  /// @param fetches the run's host
  Prefetcher.Copy start(int number, Trace.Run run, long nowNanos, Fetches fetches);

  /// A page that this policy fetched ahead is here now.
  default void arrived(long page) {}

  /// A page left the cache, whoever brought it.
  default void evicted(long page) {}

  /// The memory that holds what was learnt, in bytes.
  long modelBytes();
}
