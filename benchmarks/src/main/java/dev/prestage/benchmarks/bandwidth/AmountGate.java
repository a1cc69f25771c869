package dev.prestage.benchmarks.bandwidth;

import dev.prestage.benchmarks.Check;
import dev.prestage.engine.predict.amount.AmountForecast;
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
  /// @param exceeded the share of windows that asked for more
  /// @param unused what was reserved and not asked for, as a share of what was asked for
  record Outcome(double exceeded, double unused) {}

  /// Makes the comparison for a series.
  public static void run(AmountSeries series, Consumer<String> out, Consumer<Check> checks) {
    Outcome forecast = forecast(series);
    Outcome last = rule(series.amounts(), true, forecast.exceeded);
    Outcome mean = rule(series.amounts(), false, forecast.exceeded);
    out.accept(
        String.format(
            Locale.ROOT,
            "%s: p90 exceeded %.1f %%, unused %.2f of what was asked for; last + kσ: %.1f %%, %.2f; mean + kσ: %.1f %%, %.2f",
            series.name(),
            100 * forecast.exceeded,
            forecast.unused,
            100 * last.exceeded,
            last.unused,
            100 * mean.exceeded,
            mean.unused));
    String wanted = String.format(Locale.ROOT, "%.2f to %.2f", LEAST_EXCEEDED, MOST_EXCEEDED);
    checks.accept(
        new Check(
            series.name() + ": share of windows that exceed the p90",
            forecast.exceeded,
            wanted,
            forecast.exceeded >= LEAST_EXCEEDED && forecast.exceeded <= MOST_EXCEEDED));
    checks.accept(
        Check.atMost(
            series.name() + ": unused, against the better of two reactive rules",
            forecast.unused / Math.min(last.unused, mean.unused),
            1));
  }

  static Outcome forecast(AmountSeries series) {
    AmountForecast forecast = new AmountForecast(QUANTILE, series.window(), 0);
    double[] reserved = new double[series.amounts().length];
    for (int i = 0; i < reserved.length; i++) {
      reserved[i] = forecast.next();
      forecast.observe(series.amounts()[i]);
    }
    return outcome(series.amounts(), reserved);
  }

  private static Outcome outcome(double[] amounts, double[] reserved) {
    int exceeded = 0;
    double unused = 0;
    double asked = 0;
    for (int i = WARM; i < amounts.length; i++) {
      exceeded += amounts[i] > reserved[i] ? 1 : 0;
      unused += Math.max(0, reserved[i] - amounts[i]);
      asked += amounts[i];
    }
    return new Outcome((double) exceeded / (amounts.length - WARM), unused / asked);
  }

  /// The last window's amount, or the mean of some, and as many standard deviations more as it
  /// takes to be exceeded no more often.
  private static Outcome rule(double[] amounts, boolean last, double exceeded) {
    double few = -4;
    double many = 64;
    while (many - few > 1e-3) {
      double middle = (few + many) / 2;
      if (with(middle, amounts, last).exceeded > exceeded) {
        few = middle;
      } else {
        many = middle;
      }
    }
    return with(many, amounts, last);
  }

  private static Outcome with(double deviations, double[] amounts, boolean last) {
    double[] reserved = new double[amounts.length];
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
      double base = last ? amounts[i - 1] : mean;
      reserved[i] = Math.max(0, base + deviations * Math.sqrt(variance));
    }
    return outcome(amounts, reserved);
  }
}
