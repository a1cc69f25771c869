package dev.prestage.engine.access;

/// One touch of one resource.
///
/// A guest's request that spans several resources is several accesses with the same time, in
/// ascending order.
///
/// @param binding who touched it as what, by [dev.prestage.engine.resource.Binding#id]
/// @param run the run of the VM's program to which it belongs, or [#NO_RUN]
/// @param resource what was touched, as in [dev.prestage.engine.resource.Resource]
/// @param timeNanos when it was asked for, in nanoseconds since the epoch by
///   [dev.prestage.engine.time.Clock]
/// @param type what was done
/// @param amount how much of the resource was touched, in its space's
///   [dev.prestage.engine.resource.Measure]
/// @param cause who wanted it
/// @param waited whether it had to wait for an origin: a demand miss, or a join to a fetch in
///   flight
/// @param latencyNanos from request to reply, or [#PENDING] while the answer is outstanding
public record Access(
    int binding,
    long run,
    long resource,
    long timeNanos,
    AccessType type,
    long amount,
    Cause cause,
    boolean waited,
    long latencyNanos) {
  /// The latency of an access that is not answered yet.
  public static final long PENDING = -1;

  /// The run of an access that belongs to none: the tail of one that ended.
  public static final long NO_RUN = 0;
}
