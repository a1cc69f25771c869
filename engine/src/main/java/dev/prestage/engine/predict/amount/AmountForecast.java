package dev.prestage.engine.predict.amount;

import java.time.Duration;
import java.util.List;

/// Foretells a quantile of the next window's amount, so that it is exceeded as often as it should
/// be.
///
/// Several experts foretell it in their own ways. The one that was the best lately, by the loss
/// that the quantile minimises (R. Koenker and G. Bassett, "Regression Quantiles", 1978), speaks.
/// What it says is moved by a quantile of its own errors, and that quantile follows how often the
/// result was exceeded (I. Gibbs and E. Candès, "Adaptive Conformal Inference Under Distribution
/// Shift", 2021): whatever comes, the long-run share of windows that exceed it approaches what was
/// asked for.
///
/// For one thread.
public final class AmountForecast {
  private static final int RECENT_WINDOWS = 64;
  private static final double FORGETS = 0.98;
  private static final int ERRORS = 100;
  private static final double RATE = 0.02;
  private static final double LEAST_LEVEL = 0.05;
  private static final double MOST_LEVEL = 0.999;
  private static final double LARGEST_FORGETS = 0.9999;

  private final double quantile;
  private final List<AmountExpert> experts;
  private final LateWindows late = new LateWindows();
  private final double[] said;
  private final double[] losses;
  private final double[][] errors;
  private final double[] sorted = new double[ERRORS];
  private double level;
  private double largest;
  private double next;
  private long windows;
  private long foretold;
  private long exceeded;

  /// @param quantile which one, such as .9
  /// @param window how long a window is
  /// @param firstNanos when the first one begins, in nanoseconds since the epoch
  public AmountForecast(double quantile, Duration window, long firstNanos) {
    this.quantile = quantile;
    this.level = quantile;
    this.experts =
        List.of(
            new Recent(quantile, RECENT_WINDOWS),
            new Recent(quantile, 4),
            new Dwell(quantile),
            new Period(quantile, late, 0),
            new Period(quantile, late, 1),
            new TimeOfDay(quantile, window.toNanos(), firstNanos));
    this.said = new double[experts.size()];
    this.losses = new double[experts.size()];
    this.errors = new double[experts.size()][ERRORS];
  }

  /// The quantile of the amount of the next window; 0 before the first one has ended.
  public double next() {
    return next;
  }

  /// How many windows asked for something, or were foretold to. Silence that was foretold says
  /// nothing of how good the forecast is, and is not counted.
  public long windows() {
    return foretold;
  }

  /// How many of them came to more than was foretold.
  public long exceeded() {
    return exceeded;
  }

  /// A window has ended.
  ///
  /// @param amount what was asked for in it, at least 0
  public void observe(double amount) {
    if (amount > 0 || next > 0) {
      boolean more = amount > next;
      foretold++;
      exceeded += more ? 1 : 0;
      level = Math.clamp(level + RATE * ((more ? 1 : 0) - (1 - quantile)), LEAST_LEVEL, MOST_LEVEL);
    }
    for (int i = 0; i < said.length; i++) {
      double error = amount - said[i];
      losses[i] = FORGETS * losses[i] + (error > 0 ? quantile * error : (quantile - 1) * error);
      errors[i][(int) (windows % ERRORS)] = error;
      experts.get(i).observe(amount);
    }
    late.observe(amount);
    windows++;
    if (amount > 0) {
      largest = Math.max(amount, largest * LARGEST_FORGETS);
    }
    int best = 0;
    for (int i = 0; i < said.length; i++) {
      said[i] = experts.get(i).next();
      best = losses[i] < losses[best] ? i : best;
    }
    int known = (int) Math.min(windows, ERRORS);
    System.arraycopy(errors[best], 0, sorted, 0, known);
    next = Math.clamp(said[best] + Quantile.of(sorted, known, level), 0, largest);
  }
}
