package dev.prestage.engine.predict.amount;

/// The amounts of late, and after how many windows they repeat: the lag at which they are most like
/// themselves, by sums that forget and grow with each window, so that no window costs more than
/// another.
final class LateWindows {
  private static final int LONGEST = 342;
  private static final int KEPT = 6 * LONGEST + 2;

  /// Half of what is known is from the last six minutes, with windows of half a second.
  private static final double FORGETS = 0.999;

  /// Below this correlation nothing repeats.
  private static final double LEAST_LIKE = 0.3;

  private final double[] kept = new double[KEPT];

  /// Their magnitudes, which are compared: one window that is a thousand times the others must not
  /// hide what these do.
  private final double[] magnitudes = new double[KEPT];

  private final double[] products = new double[LONGEST + 1];
  private final double[] weights = new double[LONGEST + 1];
  private double sum;
  private long count;
  private int period;

  /// After how many windows they repeat; 0 if they do not.
  int period() {
    return period;
  }

  /// The number of the window that comes next.
  long next() {
    return count;
  }

  boolean knows(long window) {
    return window >= Math.max(0, count - KEPT) && window < count;
  }

  double at(long window) {
    return kept[(int) (window % KEPT)];
  }

  void observe(double amount) {
    kept[(int) (count % KEPT)] = amount;
    double magnitude = Math.log1p(amount);
    magnitudes[(int) (count % KEPT)] = magnitude;
    count++;
    sum = FORGETS * sum + magnitude;
    for (int lag = 0; lag <= Math.min(LONGEST, count - 1); lag++) {
      double then = magnitudes[(int) ((count - 1 - lag) % KEPT)];
      products[lag] = FORGETS * products[lag] + magnitude * then;
      weights[lag] = FORGETS * weights[lag] + 1;
    }
    period = find();
  }

  private int find() {
    double mean = sum / weights[0];
    double square = products[0] / weights[0] - mean * mean;
    if (square <= 0) {
      return 0;
    }
    double best = LEAST_LIKE;
    int lagOfBest = 0;
    boolean fell = false;
    // A lag is believed once it was seen over two more periods.
    for (int lag = 1; lag <= Math.min(LONGEST, count / 3); lag++) {
      double like = (products[lag] / weights[lag] - mean * mean) / square;
      // Neighbours are alike in any burst; a period is where likeness comes back.
      fell |= like < LEAST_LIKE;
      if (fell && like > best * 1.05) {
        best = like;
        lagOfBest = lag;
      }
    }
    return lagOfBest;
  }
}
