package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Forecast;

/// A policy that fetches ahead, for one program. What was learnt is shared by the program's copies;
/// where a copy stands is in its [Copy].
public interface Prefetcher {
  /// A copy of the program starts.
  ///
  /// @param fetches where it may ask for pages at once
  Copy start(Fetches fetches);

  /// The memory that holds what was learnt, in bytes.
  long modelBytes();

  /// One running copy.
  interface Copy {
    /// All pages of a request were demanded. Learn from it, then ask for what comes next.
    void demanded(Request request, Fetches fetches);

    /// Adds what is expected to be the first page of the next request, with probabilities that add
    /// up to at most 1. Asking changes nothing. A policy that has no opinion adds nothing.
    default void next(Forecast into) {}

    /// A page that this copy fetched ahead was demanded for the first time.
    default void used(long page) {}

    /// A page that this copy fetched ahead was evicted before any demand.
    default void wasted(long page) {}

    /// The run ends.
    default void stop() {}
  }
}
