package dev.prestage.benchmarks.bandwidth;

import dev.prestage.benchmarks.Check;
import dev.prestage.engine.predict.amount.AmountForecast;
import java.time.Duration;
import java.util.Locale;
import java.util.function.Consumer;

/// How often what was reserved by a forecast of the next window's amount is exceeded, and what of
/// it is not used; beside two rules that react, given the reserve with which they are exceeded as
/// seldom. They get the best reserve for the whole series, which nobody knows before.
public final class AmountGate {
  /// So many windows are not counted: nobody knows anything then.
  static final int WARM = 120;

  private static final double QUANTILE = 0.9;
  private static final double LEAST_EXCEEDED = 0.04;
  private static final double MOST_EXCEEDED = 0.16;
  private static final int RULE_WINDOWS = 64;

  private AmountGate() {}

  /// What a way to reserve came to.
  ///
  /// @param exceeded how many windows asked for more
  /// @param counted how many asked for something, or had something reserved
  /// @param unused what was reserved and not asked for, as a share of what was asked for
  record Outcome(int exceeded, int counted, double unused) {
    double share() {
      return (double) exceeded / counted;
    }
  }

  /// Makes the comparison for a series.
  public static void run(AmountSeries series, Consumer<String> out, Consumer<Check> checks) {
    double[] amounts = series.amounts();
    Outcome forecast = forecast(amounts, series.window());
    double last = unusedOfRule(amounts, true, forecast.exceeded);
    double mean = unusedOfRule(amounts, false, forecast.exceeded);
    out.accept(
        String.format(
            Locale.ROOT,
            "%s: p90 exceeded in %d of %d windows, unused %.2f of what was asked for; last + kσ %.2f, mean + kσ %.2f",
            series.name(),
            forecast.exceeded,
            forecast.counted,
            forecast.unused,
            last,
            mean));
    checks.accept(
        new Check(
            series.name() + ": share of windows that exceed the p90",
            forecast.share(),
            String.format(Locale.ROOT, "%.2f to %.2f", LEAST_EXCEEDED, MOST_EXCEEDED),
            forecast.share() >= LEAST_EXCEEDED && forecast.share() <= MOST_EXCEEDED));
    checks.accept(
        Check.atMost(
            series.name() + ": unused, against the better of two reactive rules",
            forecast.unused / Math.min(last, mean),
            1));
  }

  static Outcome forecast(double[] amounts, Duration window) {
    AmountForecast forecast = new AmountForecast(QUANTILE, window, 0);
    double[] reserved = new double[amounts.length];
    for (int i = 0; i < reserved.length; i++) {
      reserved[i] = forecast.next();
      forecast.observe(amounts[i]);
    }
    return outcome(amounts, reserved);
  }

  private static Outcome outcome(double[] amounts, double[] reserved) {
    int exceeded = 0;
    int counted = 0;
    double unused = 0;
    double asked = 0;
    for (int i = WARM; i < amounts.length; i++) {
      exceeded += amounts[i] > reserved[i] ? 1 : 0;
      counted += amounts[i] > 0 || reserved[i] > 0 ? 1 : 0;
      unused += Math.max(0, reserved[i] - amounts[i]);
      asked += amounts[i];
    }
    return new Outcome(exceeded, counted, unused / asked);
  }

  /// What a rule leaves unused with the reserve with which it is exceeded as often as that. Where
  /// one more bit of reserve makes a step past it, what lies in between is taken; where no reserve
  /// is enough, there is no such rule.
  static double unusedOfRule(double[] amounts, boolean last, int exceeded) {
    double few = -4;
    double many = 64;
    while (many - few > 1e-6) {
      double middle = (few + many) / 2;
      if (rule(amounts, last, middle).exceeded > exceeded) {
        few = middle;
      } else {
        many = middle;
      }
    }
    Outcome less = rule(amounts, last, few);
    Outcome more = rule(amounts, last, many);
    if (more.exceeded > exceeded) {
      return Double.POSITIVE_INFINITY;
    }
    if (less.exceeded <= exceeded) {
      return less.unused;
    }
    double part = (double) (less.exceeded - exceeded) / (less.exceeded - more.exceeded);
    return less.unused + part * (more.unused - less.unused);
  }

  /// The last window's amount, or the mean of some, and so many standard deviations more; never
  /// more than ever came.
  private static Outcome rule(double[] amounts, boolean last, double deviations) {
    double[] reserved = new double[amounts.length];
    double largest = 0;
    for (int i = 1; i < amounts.length; i++) {
      int from = Math.max(0, i - RULE_WINDOWS);
      double mean = 0;
      for (int j = from; j < i; j++) {
        mean += amounts[j] / (i - from);
      }
      double variance = 0;
      for (int j = from; j < i; j++) {
        variance += (amounts[j] - mean) * (amounts[j] - mean) / (i - from);
      }
      largest = Math.max(largest, amounts[i - 1]);
      double base = last ? amounts[i - 1] : mean;
      reserved[i] = Math.clamp(base + deviations * Math.sqrt(variance), 0, largest);
    }
    return outcome(amounts, reserved);
  }
}
