package dev.prestage.engine.predict.amount;

import java.util.Arrays;

/// Quantiles of some numbers.
final class Quantile {
  private Quantile() {}

  /// The smallest of the first numbers that at least so large a share of them does not exceed; 0 of
  /// none. It sorts them.
  static double of(double[] numbers, int count, double quantile) {
    if (count == 0) {
      return 0;
    }
    Arrays.sort(numbers, 0, count);
    int rank = (int) Math.ceil(quantile * count) - 1;
    return numbers[Math.clamp(rank, 0, count - 1)];
  }
}
