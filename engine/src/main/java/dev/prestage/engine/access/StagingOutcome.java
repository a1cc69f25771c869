package dev.prestage.engine.access;

import java.time.Duration;

/// How the staging of one range ended, for the units that `units` counts. Each staged unit is
/// counted in exactly one outcome, so the counts add up to what was granted, and no unit is both a
/// success and a waste.
public sealed interface StagingOutcome {
  /// The lease whose units ended.
  long leaseId();

  /// How many units ended this way.
  int units();

  /// Demand arrived after the bytes were resident.
  ///
  /// @param lead how long the bytes waited on average; never negative
  record Useful(long leaseId, int units, Duration lead) implements StagingOutcome {}

  /// Demand overtook the copy: the forecast was right and the schedule was not.
  record Late(long leaseId, int units) implements StagingOutcome {}

  /// Given back without demand.
  record Unused(long leaseId, int units) implements StagingOutcome {}

  /// It was there already; nothing was moved.
  record Redundant(long leaseId, int units) implements StagingOutcome {}

  /// The origin or the tier refused.
  record Failed(long leaseId, int units) implements StagingOutcome {}

  /// Called off before the bytes were moved.
  record Cancelled(long leaseId, int units) implements StagingOutcome {}

  /// Installed where use cannot be seen.
  record Unobserved(long leaseId, int units) implements StagingOutcome {}
}
