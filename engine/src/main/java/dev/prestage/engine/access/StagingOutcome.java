package dev.prestage.engine.access;

import java.time.Duration;

/// How the staging of one range ended, for the extents that `extents` counts. Each staged extent is
/// counted in exactly one outcome, so the counts add up to what was granted, and no extent is both
/// a success and a waste.
public sealed interface StagingOutcome {
  /// The lease whose extents ended.
  long leaseId();

  /// How many extents ended this way.
  int extents();

  /// Demand arrived after the bytes were resident.
  ///
  /// @param lead how long the bytes waited on average; never negative
  record Useful(long leaseId, int extents, Duration lead) implements StagingOutcome {}

  /// Demand overtook the copy: the forecast was right and the schedule was not.
  record Late(long leaseId, int extents) implements StagingOutcome {}

  /// Given back without demand.
  record Unused(long leaseId, int extents) implements StagingOutcome {}

  /// It was there already; nothing was moved.
  record Redundant(long leaseId, int extents) implements StagingOutcome {}

  /// The origin or the tier refused.
  record Failed(long leaseId, int extents) implements StagingOutcome {}

  /// Called off before the bytes were moved.
  record Cancelled(long leaseId, int extents) implements StagingOutcome {}

  /// Installed where use cannot be seen.
  record Unobserved(long leaseId, int extents) implements StagingOutcome {}
}
