package dev.prestage.engine.stage;

/// What VM managers are told. Notices for one VM come in the order in which things happened.
public sealed interface Notice {
  /// When it happened, nanoseconds since the epoch.
  long timeNanos();

  /// An allocation was asked for, and this is what it asks of the host. Whoever does not want that
  /// takes the allocation back.
  ///
  /// @param allocation the request's id
  /// @param units that are expected to be touched and are not on this host
  /// @param bytes their size
  /// @param probability that one that is expected is touched, on average
  record Planned(
      long timeNanos,
      String vm,
      String program,
      long allocation,
      int units,
      long bytes,
      double probability)
      implements Notice {}

  /// Units of a lease became resident.
  ///
  /// @param space its name, such as an image's
  /// @param units how many are ready now
  /// @param bytes their size
  record Staged(
      long timeNanos, String vm, String program, String space, long leaseId, int units, long bytes)
      implements Notice {}

  /// A requested allocation is settled: all that it was granted is resident or has ended.
  ///
  /// @param allocation the request's id
  record Available(
      long timeNanos, String vm, String program, long allocation, int units, long bytes)
      implements Notice {}

  /// A forecast resource cannot be had now.
  ///
  /// @param first the first unit
  /// @param reason one word: `capacity`, no room; `quota`, there is room, but the VM, its program
  ///   or its tenant is at its quota; `failed`; `stale`, it waited too long
  record Unavailable(
      long timeNanos, String vm, String program, String space, long first, int units, String reason)
      implements Notice {}

  /// What was unavailable waits until capacity returns or its time has passed.
  ///
  /// @param depth how many ranges wait now
  record Queued(
      long timeNanos, String vm, String program, String space, long first, int units, int depth)
      implements Notice {}

  /// What stayed unused was given back.
  ///
  /// @param bytes the space that came back
  record Reclaimed(
      long timeNanos, String vm, String program, String space, long leaseId, int units, long bytes)
      implements Notice {}

  /// All of what a VM is bound to is on this host: it depends on no origin any more, as long as
  /// nothing of it leaves again.
  ///
  /// @param as what the VM calls it
  /// @param space its name, such as an image's
  /// @param bytes its size
  record Complete(long timeNanos, String vm, String program, String as, String space, long bytes)
      implements Notice {}

  /// Something on this host does not work as it should; guests keep running.
  ///
  /// @param kind one word that stays the same for the same trouble
  /// @param text one line: what, where, what to do
  record Degraded(long timeNanos, String kind, String text) implements Notice {}
}
