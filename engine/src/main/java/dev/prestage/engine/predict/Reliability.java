package dev.prestage.engine.predict;

/// Whether probabilities come true: among opinions of 0.8, eight in ten should. Only those of at
/// least [#LEAST] are counted, so that a flood of small ones cannot hide an error.
public final class Reliability {
  /// Opinions below this are not counted.
  public static final double LEAST = 0.05;

  /// Bins of equal width.
  public static final int BINS = 33;

  private final long[] count = new long[BINS];
  private final double[] probability = new double[BINS];
  private final long[] cameTrue = new long[BINS];
  private double logLoss;
  private double squaredError;

  /// The loss of a certainty that was wrong stays finite.
  private static final double CERTAIN = 1e-6;

  /// An opinion is known to be right or wrong.
  public void judge(double forecast, boolean came) {
    if (forecast < LEAST) {
      return;
    }
    int bin = Math.min(BINS - 1, (int) (forecast * BINS));
    count[bin]++;
    probability[bin] += forecast;
    cameTrue[bin] += came ? 1 : 0;
    double right = came ? forecast : 1 - forecast;
    logLoss -= Math.log(Math.clamp(right, CERTAIN, 1));
    squaredError += (1 - right) * (1 - right);
  }

  /// Opinions in a bin.
  public long count(int bin) {
    return count[bin];
  }

  /// Their probabilities, added up.
  public double probability(int bin) {
    return probability[bin];
  }

  /// Those of them that came true.
  public long cameTrue(int bin) {
    return cameTrue[bin];
  }

  /// The logarithmic losses of all, natural logarithm, added up.
  public double logLoss() {
    return logLoss;
  }

  /// The squared errors of all, added up.
  public double squaredError() {
    return squaredError;
  }

  /// Adds what another one counted.
  public void add(Reliability other) {
    for (int bin = 0; bin < BINS; bin++) {
      count[bin] += other.count[bin];
      probability[bin] += other.probability[bin];
      cameTrue[bin] += other.cameTrue[bin];
    }
    logLoss += other.logLoss;
    squaredError += other.squaredError;
  }
}
