package dev.prestage.engine.predict.amount;

/// What repeats after a fixed number of windows: what came at this place of the last periods comes
/// again.
final class Period implements AmountExpert {
  private static final int PERIODS = 6;

  private final double quantile;
  private final LateWindows late;
  private final int side;
  private final double[] there;

  /// @param late observed by somebody else
  /// @param side how many windows sooner or later it may come
  Period(double quantile, LateWindows late, int side) {
    this.quantile = quantile;
    this.late = late;
    this.side = side;
    this.there = new double[(2 * side + 1) * PERIODS];
  }

  @Override
  public double next() {
    if (late.period() == 0) {
      return 0;
    }
    int found = 0;
    for (int back = 1; back <= PERIODS; back++) {
      for (int off = -side; off <= side; off++) {
        long window = late.next() - (long) back * late.period() + off;
        if (late.knows(window)) {
          there[found++] = late.at(window);
        }
      }
    }
    return Quantile.of(there, found, quantile);
  }

  @Override
  public void observe(double amount) {
    // All that it goes by is what was late.
  }
}
