package dev.prestage.engine.stage;

import dev.prestage.engine.access.Lease;

/// Moves leased units to this host, one implementation per resource type. Demand always goes first.
///
/// Calls return at once. What becomes of the units is reported as
/// [dev.prestage.engine.allocate.LeaseState], in which each unit ends exactly once. Calls for
/// leases that have ended, or are unknown, do nothing.
public interface Stager {
  /// Stage the range, earliest due time first among all leases.
  void stage(Lease lease);

  /// Call off what is not moved yet (it ends as cancelled). What is ready stays.
  void cancel(long leaseId);

  /// Give back what is ready and was not demanded (unused), and call off the rest (cancelled).
  void reclaim(long leaseId);
}
