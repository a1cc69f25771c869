package dev.prestage.engine.predict.amount;

import java.time.Duration;

/// What a time of day usually brings: for each ten minutes of it a quantile that moves a little
/// with each window (H. Robbins and S. Monro, "A Stochastic Approximation Method", 1951).
final class TimeOfDay implements AmountExpert {
  private static final long DAY_NANOS = Duration.ofDays(1).toNanos();
  private static final int PARTS = 144;
  private static final double RATE = 0.05;

  private final double quantile;
  private final long windowNanos;
  private final double[] usual = new double[PARTS];
  private final boolean[] known = new boolean[PARTS];
  private double scale;
  private long atNanos;

  /// @param firstNanos when the first window begins, in nanoseconds since the epoch
  TimeOfDay(double quantile, long windowNanos, long firstNanos) {
    this.quantile = quantile;
    this.windowNanos = windowNanos;
    this.atNanos = firstNanos;
  }

  private int part() {
    return (int) (Math.floorMod(atNanos, DAY_NANOS) / (DAY_NANOS / PARTS));
  }

  @Override
  public double next() {
    return usual[part()];
  }

  @Override
  public void observe(double amount) {
    int part = part();
    if (known[part]) {
      scale += RATE * (Math.abs(amount - usual[part]) - scale);
      usual[part] += RATE * scale * (amount > usual[part] ? quantile : quantile - 1);
      usual[part] = Math.max(0, usual[part]);
    } else {
      known[part] = true;
      usual[part] = amount;
    }
    atNanos += windowNanos;
  }
}
