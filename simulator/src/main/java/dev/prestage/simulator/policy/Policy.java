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

  /// A page that this policy asked for has come.
  default void arrived(int host, long page) {}

  /// What was asked for has come, and the way to the origin has room: more may be asked for between
  /// two requests. In open loop there is no such time.
  default void hasRoom(int host, long nowNanos) {}

  /// A page left a host's cache, whoever brought it.
  default void evicted(int host, long page) {}

  /// A host is gone, and its cache with it: no run will start there again.
  default void gone(int host) {}

  /// The memory that holds what was learnt, in bytes.
  long modelBytes();
}
