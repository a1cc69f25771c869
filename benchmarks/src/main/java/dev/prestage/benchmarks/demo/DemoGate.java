package dev.prestage.benchmarks.demo;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/// What prediction must reach in the demo, each limit as a share of what happens without prefetch.
public final class DemoGate {
  private static final double MOST_WAITS = 0.05;
  private static final double MOST_STALL = 0.10;
  private static final double MOST_BYTES = 1.15;

  private DemoGate() {}

  /// One comparison.
  ///
  /// @param share of the value without prefetch
  /// @param limit what it may be
  public record Check(String role, String what, double share, double limit) {
    /// Whether the limit is kept.
    public boolean holds() {
      return share <= limit;
    }

    @Override
    public String toString() {
      return String.format(
          Locale.ROOT,
          "%-4s %s %s: %.3f of no prefetch, limit %.2f",
          holds() ? "ok" : "MISS",
          role,
          what,
          share,
          limit);
    }
  }

  /// Compares the predicted boots with those without prefetch.
  ///
  /// @param reports of one demo or several; with several the median share of each limit counts
  public static List<Check> check(List<DemoReport> reports) {
    List<Check> checks = new ArrayList<>();
    for (String role : Demo.ROLES) {
      checks.add(check(role, "demand waits", MOST_WAITS, reports, DemoReport.Row::demandWaits));
      checks.add(check(role, "stall", MOST_STALL, reports, DemoReport.Row::stallSeconds));
      checks.add(check(role, "bytes fetched", MOST_BYTES, reports, DemoReport.Row::bytesFetched));
    }
    return checks;
  }

  private static Check check(
      String role,
      String what,
      double limit,
      List<DemoReport> reports,
      ToDoubleFunction<DemoReport.Row> value) {
    double[] shares =
        reports.stream()
            .mapToDouble(report ->
                value.applyAsDouble(report.row("predicted", role))
                    / value.applyAsDouble(report.row("none", role)))
            .sorted()
            .toArray();
    return new Check(role, what, shares[shares.length / 2], limit);
  }
}
