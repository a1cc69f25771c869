package dev.prestage.simulator.report;

import dev.prestage.simulator.policy.Calibration;
import dev.prestage.simulator.policy.Setting;
import dev.prestage.simulator.replay.ClosedLoop;
import dev.prestage.simulator.trace.Trace;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Policies compared in closed loop.
///
/// @param fetchedWithout pages that each run fetches without prefetch
/// @param calibration of the product's forecasts; null if it did not run
public record ClosedReport(
    Trace trace,
    List<Row> rows,
    Map<Trace.Run, Long> fetchedWithout,
    Calibration.@Nullable Summary calibration) {
  /// One policy.
  ///
  /// @param setting of the policy, found by a search where there is a budget
  /// @param withinBudget whether the budget was kept; true if there is none
  public record Row(
      String policy, Setting setting, boolean withinBudget, ClosedLoop.Result result) {}

  /// What a run fetched, as a share of what it fetches without prefetch; 1 if both are nothing.
  public double trafficShare(ClosedLoop.RunResult run) {
    return share(run.fetched(), fetchedWithout.getOrDefault(run.run(), 0L));
  }

  /// What all runs fetched, as a share of what they fetch without prefetch.
  public double trafficShare(ClosedLoop.Result result) {
    return share(
        result.runs().stream().mapToLong(ClosedLoop.RunResult::fetched).sum(),
        fetchedWithout.values().stream().mapToLong(Long::longValue).sum());
  }

  private static double share(long fetched, long without) {
    return fetched == without ? 1 : fetched / (double) Math.max(1, without);
  }

  /// The row of a policy.
  ///
  /// @throws IllegalArgumentException if there is none
  public Row row(String policy) {
    return rows.stream()
        .filter(row -> row.policy().equals(policy))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no row " + policy));
  }
}
