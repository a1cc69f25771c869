package dev.prestage.simulator.replay;

import dev.prestage.engine.predict.Forecast;
import dev.prestage.simulator.policy.Prefetcher;

/// How well a policy foretells the next access of a copy, scored before it happens: the logarithmic
/// loss in bits, and how often its favourite was right.
///
/// An access is the first page of a request; immediate repeats are one. A page to which the policy
/// gave no probability counts as if it had one in ten thousand, so one surprise costs 13.3 bits.
final class NextAccess {
  private static final double LEAST_PROBABILITY = 1e-4;

  private final Forecast forecast = new Forecast();
  private long accesses;
  private long opinions;
  private long right;
  private double bits;

  /// The next access of a copy is known.
  void score(Prefetcher.Copy copy, long page) {
    forecast.clear();
    copy.next(forecast);
    accesses++;
    int row = forecast.row(page);
    double probability = row < 0 ? 0 : Math.min(1, forecast.probability(row));
    bits -= Math.log(Math.max(probability, LEAST_PROBABILITY)) / Math.log(2);
    if (forecast.size() > 0) {
      opinions++;
      right += row >= 0 && row == favourite() ? 1 : 0;
    }
  }

  private int favourite() {
    int best = 0;
    for (int row = 1; row < forecast.size(); row++) {
      if (forecast.probability(row) > forecast.probability(best)) {
        best = row;
      }
    }
    return best;
  }

  /// Whether the policy ever said anything.
  boolean hasOpinion() {
    return opinions > 0;
  }

  /// The mean loss, in bits.
  double bitsPerAccess() {
    return bits / accesses;
  }

  /// The share of accesses that were its favourite.
  double accuracy() {
    return (double) right / accesses;
  }
}
