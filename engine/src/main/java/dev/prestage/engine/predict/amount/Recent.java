package dev.prestage.engine.predict.amount;

/// What the last windows say: their quantile.
final class Recent implements AmountExpert {
  private final double quantile;
  private final double[] last;
  private final double[] sorted;
  private int count;

  /// @param windows how many windows back it looks
  Recent(double quantile, int windows) {
    this.quantile = quantile;
    this.last = new double[windows];
    this.sorted = new double[windows];
  }

  @Override
  public double next() {
    int known = Math.min(count, last.length);
    System.arraycopy(last, 0, sorted, 0, known);
    return Quantile.of(sorted, known, quantile);
  }

  @Override
  public void observe(double amount) {
    last[count++ % last.length] = amount;
    if (count == 2 * last.length) {
      count = last.length;
    }
  }
}
