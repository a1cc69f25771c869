package dev.prestage.simulator.report;

import dev.prestage.simulator.policy.Calibration;
import dev.prestage.simulator.policy.Setting;
import dev.prestage.simulator.replay.OpenLoop;
import dev.prestage.simulator.trace.Trace;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Policies compared in open loop.
///
/// @param calibration of the product's forecasts, at the first cache and lead; null if it did not
///   run
public record OpenReport(Trace trace, List<Row> rows, Calibration.@Nullable Summary calibration) {
  /// One policy at one cache and lead.
  ///
  /// @param setting of the policy, found by a search where there is a budget
  /// @param withinBudget whether the budget was kept; true if there is none
  public record Row(
      String policy,
      Setting setting,
      CacheSize cache,
      int lead,
      boolean withinBudget,
      OpenLoop.Result result) {}

  /// The row of a policy.
  ///
  /// @throws IllegalArgumentException if there is none
  public Row row(String policy, CacheSize cache, int lead) {
    return rows.stream()
        .filter(
            row -> row.policy().equals(policy) && row.cache().equals(cache) && row.lead() == lead)
        .findFirst()
        .orElseThrow(
            () -> new IllegalArgumentException("no row " + policy + " " + cache + " " + lead));
  }
}
