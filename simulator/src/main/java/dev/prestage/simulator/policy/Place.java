package dev.prestage.simulator.policy;

import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.simulator.trace.Trace;

/// Where a policy is to work.
///
/// @param capacityPages of a host's cache
/// @param lead requests until a fetched page is usable; 0 in closed loop, where time decides
/// @param thresholds the product's
/// @param limits the product's, for one host
public record Place(
    Trace trace, int capacityPages, int lead, Thresholds thresholds, Limits limits) {
  /// What peers with bounded tables may take where the cache holds everything.
  private static final long MOST_TABLE_BYTES = 64L << 20;

  /// This place with a cache of at most so many pages.
  Place withAtMost(int pages) {
    return new Place(trace, Math.min(capacityPages, pages), lead, thresholds, limits);
  }

  /// What peers with bounded tables may take: a tenth of the cache, as libCacheSim gives them.
  long tableBytes() {
    return capacityPages >= trace.distinctPages()
        ? MOST_TABLE_BYTES
        : (long) capacityPages * Trace.PAGE_BYTES / 10;
  }
}
