package dev.prestage.benchmarks.api;

import java.util.Arrays;

/// Latencies in their order, for shares of them.
final class Latencies {
  private final long[] sortedNanos;

  /// Takes the nanoseconds in any order.
  Latencies(long[] nanos) {
    sortedNanos = nanos.clone();
    Arrays.sort(sortedNanos);
  }

  int count() {
    return sortedNanos.length;
  }

  /// Milliseconds within which this share was done; no number if there were none.
  double millis(double share) {
    int index = (int) Math.ceil(share * sortedNanos.length) - 1;
    return sortedNanos.length == 0 ? Double.NaN : sortedNanos[Math.max(0, index)] / 1e6;
  }
}
