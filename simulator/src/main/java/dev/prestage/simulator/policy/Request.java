package dev.prestage.simulator.policy;

import it.unimi.dsi.fastutil.longs.LongArrayList;
import it.unimi.dsi.fastutil.longs.LongList;

/// What was demanded: consecutive pages, all at once.
///
/// @param timeNanos when, on the simulated clock
/// @param first the first page
/// @param count how many, at least 1
/// @param write whether they were written
/// @param missedPages those that had to be waited for, ascending; valid until the next request
public record Request(long timeNanos, long first, int count, boolean write, LongList missedPages) {
  /// A request of which the first pages were missed.
  ///
  /// @param missed how many, 0 to `count`
  public Request(long timeNanos, long first, int count, boolean write, int missed) {
    this(timeNanos, first, count, write, new LongArrayList());
    for (int i = 0; i < missed; i++) {
      missedPages.add(first + i);
    }
  }

  /// The last page.
  public long last() {
    return first + count - 1;
  }

  /// How many pages were missed.
  public int missed() {
    return missedPages.size();
  }
}
