package dev.prestage.simulator.policy;

/// What was demanded: consecutive pages, all at once.
///
/// @param timeNanos when, on the simulated clock
/// @param first the first page
/// @param count how many, at least 1
/// @param write whether they were written
/// @param missed how many of them had to be waited for
public record Request(long timeNanos, long first, int count, boolean write, int missed) {
  /// The last page.
  public long last() {
    return first + count - 1;
  }
}
