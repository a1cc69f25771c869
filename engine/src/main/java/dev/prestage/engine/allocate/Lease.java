package dev.prestage.engine.allocate;

/// A bounded right to hold capacity for a range of extents of one space, granted for one VM.
///
/// A range has at most [#MAX_EXTENTS] extents, so that the state of all of them fits the bits of a
/// `long` per outcome ([LeaseState]): exact per extent, and no object per page.
///
/// @param id unique in the life of a control plane, and never reused on a host
/// @param vm the VM for which it was granted, by [dev.prestage.engine.resource.Vm#id]
/// @param space the space, by [dev.prestage.engine.resource.Space#id]
/// @param first the first extent
/// @param extents how many, 1 to [#MAX_EXTENTS]
/// @param dueNanos when demand is expected, in nanoseconds since the epoch; stagers work in this
///   order
public record Lease(long id, int vm, int space, long first, int extents, long dueNanos) {
  /// The largest range: 64 extents of 64 KiB are 4 MiB, 20 ms of a 200 MB/s link, about one round
  /// trip to a slow origin.
  public static final int MAX_EXTENTS = 64;

  public Lease {
    if (extents < 1 || extents > MAX_EXTENTS || first < 0) {
      throw new IllegalArgumentException("no lease of " + extents + " extents from " + first);
    }
  }

  /// The bits of a [LeaseState] that belong to this lease: one per extent, the first extent lowest.
  public long mask() {
    return extents == MAX_EXTENTS ? -1L : (1L << extents) - 1;
  }
}
