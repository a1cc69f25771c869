package dev.prestage.engine.access;

/// One touch of one resource.
///
/// A guest's request that spans several resources is several accesses with the same time, in
/// ascending order.
///
/// @param program the program of the VM, by [dev.prestage.engine.resource.Program#id]
/// @param vm the VM, by [dev.prestage.engine.resource.Vm#id]
/// @param resource what was touched, as in [dev.prestage.engine.resource.Resource]
/// @param timeNanos when it was asked for, in nanoseconds since the epoch by
///   [dev.prestage.engine.time.Clock]
/// @param type what was done
/// @param sizeBytes how much of the resource was touched
/// @param cause who wanted it
/// @param waited whether it had to wait for an origin: a demand miss, or a join to a fetch in
///   flight
/// @param latencyNanos from request to reply, or [#PENDING] while the answer is outstanding
public record Access(
    int program,
    int vm,
    long resource,
    long timeNanos,
    AccessType type,
    int sizeBytes,
    Cause cause,
    boolean waited,
    long latencyNanos) {
  /// The latency of an access that is not answered yet.
  public static final long PENDING = -1;
}
