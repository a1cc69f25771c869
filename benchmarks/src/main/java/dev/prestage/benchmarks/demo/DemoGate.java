package dev.prestage.benchmarks.demo;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleBiFunction;
import java.util.function.ToDoubleFunction;

/// What prediction must reach in the demo, each limit as a share of what happens without prefetch.
///
/// Reads and bytes are counted, so a busy machine does not change them. Stall is measured in real
/// time: it is held only where a median of several demos is asked for.
public final class DemoGate {
  private static final double MOST_WAITS = 0.05;
  private static final double MOST_STALL = 0.10;
  private static final double MOST_BYTES = 1.15;

  /// Of the better of readahead and replay, for a role that nobody saw before.
  private static final double MOST_NEW_STALL = 0.6;

  private DemoGate() {}

  /// One comparison.
  ///
  /// @param share what was reached, as a share of the whole that `what` names
  /// @param limit what it may be
  public record Check(String role, String what, double share, double limit) {
    /// Whether the limit is kept; a share of nothing is not.
    public boolean holds() {
      return share <= limit;
    }

    @Override
    public String toString() {
      return String.format(
          Locale.ROOT,
          "%-4s %s %s: %.3f, limit %.2f",
          holds() ? "ok" : "MISS",
          role,
          what,
          share,
          limit);
    }
  }

  /// Compares what was counted in the predicted boots with those without prefetch.
  ///
  /// @param reports of one demo or several; with several the median of each share counts
  public static List<Check> checkCounts(List<DemoReport> reports) {
    List<Check> checks = new ArrayList<>();
    for (String role : knownRoles(reports)) {
      checks.add(
          ofNoPrefetch(role, "demand waits", MOST_WAITS, reports, DemoReport.Row::demandWaits));
      checks.add(
          ofNoPrefetch(role, "bytes fetched", MOST_BYTES, reports, DemoReport.Row::bytesFetched));
      checks.add(
          check(
              role,
              "bytes read and not verified",
              0,
              reports,
              (_, predicted) -> 1 - predicted.bytesVerified() / (double) predicted.demandBytes()));
    }
    return checks;
  }

  /// Compares the time for which the predicted boots stood still with those without prefetch.
  public static List<Check> checkStall(List<DemoReport> reports) {
    List<Check> checks = new ArrayList<>();
    for (String role : knownRoles(reports)) {
      checks.add(ofNoPrefetch(role, "stall", MOST_STALL, reports, DemoReport.Row::stallSeconds));
    }
    if (reports.getFirst().roles().contains(Demo.NEW_ROLE)) {
      double[] shares = reports.stream().mapToDouble(DemoGate::stallOfNewRole).sorted().toArray();
      checks.add(
          new Check(
              Demo.NEW_ROLE,
              "stall of the better of readahead's and replay's",
              shares[shares.length / 2],
              MOST_NEW_STALL));
    }
    return checks;
  }

  private static double stallOfNewRole(DemoReport report) {
    double readahead = report.row("readahead", Demo.NEW_ROLE).stallSeconds();
    double replay = report.row("replay", Demo.NEW_ROLE).stallSeconds();
    return report.row("predicted", Demo.NEW_ROLE).stallSeconds() / Math.min(readahead, replay);
  }

  private static List<String> knownRoles(List<DemoReport> reports) {
    return reports.getFirst().roles().stream().filter(role -> !role.equals(Demo.NEW_ROLE)).toList();
  }

  private static Check ofNoPrefetch(
      String role,
      String what,
      double limit,
      List<DemoReport> reports,
      ToDoubleFunction<DemoReport.Row> value) {
    return check(
        role,
        what + " of no prefetch's",
        limit,
        reports,
        (none, predicted) -> value.applyAsDouble(predicted) / value.applyAsDouble(none));
  }

  private static Check check(
      String role,
      String what,
      double limit,
      List<DemoReport> reports,
      ToDoubleBiFunction<DemoReport.Row, DemoReport.Row> share) {
    double[] shares =
        reports.stream()
            .mapToDouble(report ->
                share.applyAsDouble(report.row("none", role), report.row("predicted", role)))
            .sorted()
            .toArray();
    return new Check(role, what, shares[shares.length / 2], limit);
  }
}
