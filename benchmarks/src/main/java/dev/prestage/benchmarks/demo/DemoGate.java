package dev.prestage.benchmarks.demo;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

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
  public static List<Check> check(DemoReport report) {
    List<Check> checks = new ArrayList<>();
    for (String role : Demo.ROLES) {
      DemoReport.Row none = report.row("none", role);
      DemoReport.Row predicted = report.row("predicted", role);
      checks.add(
          new Check(
              role,
              "demand waits",
              (double) predicted.demandWaits() / none.demandWaits(),
              MOST_WAITS));
      checks.add(
          new Check(role, "stall", predicted.stallSeconds() / none.stallSeconds(), MOST_STALL));
      checks.add(
          new Check(
              role,
              "bytes fetched",
              (double) predicted.bytesFetched() / none.bytesFetched(),
              MOST_BYTES));
    }
    return checks;
  }
}
