package dev.prestage.engine.access;

import dev.prestage.engine.resource.Range;

/// A bounded right to hold capacity for a range of units, granted for one binding of a VM.
///
/// A range has at most [#MAX_UNITS] units, so that the state of all of them fits the bits of a
/// `long` per outcome ([dev.prestage.engine.allocate.LeaseState]): exact per unit, and no object
/// per page.
///
/// @param id unique in the life of a control plane, and never reused on a host
/// @param binding for which it was granted, by [dev.prestage.engine.resource.Binding#id]
/// @param range what may be held
/// @param pool where it is held; 0 is the only pool of an edge that has one
/// @param probability that the range is touched, 0 to 1, as it was forecast for its first candidate
/// @param experts who said so, a mask of [dev.prestage.engine.predict.Expert#bit]
/// @param dueNanos when demand is expected, in nanoseconds since the epoch; stagers work in this
///   order
/// @param untilNanos when the stager may give back by itself what is ready and was not demanded, in
///   nanoseconds since the epoch
public record Lease(
    long id,
    int binding,
    Range range,
    int pool,
    float probability,
    int experts,
    long dueNanos,
    long untilNanos) {
  /// The largest range: 64 units of 64 KiB are 4 MiB, 20 ms of a 200 MB/s link, about one round
  /// trip to a slow origin.
  public static final int MAX_UNITS = 64;

  public Lease {
    if (range.units() > MAX_UNITS) {
      throw new IllegalArgumentException("no lease of " + range.units() + " units");
    }
    if (!(probability >= 0 && probability <= 1)) {
      throw new IllegalArgumentException("no lease of probability " + probability);
    }
  }

  /// The space of its range.
  public int space() {
    return range.space();
  }

  /// The first unit of its range.
  public long first() {
    return range.first();
  }

  /// How many units its range has, 1 to [#MAX_UNITS].
  public int units() {
    return range.units();
  }

  /// The bits of a [dev.prestage.engine.allocate.LeaseState] that belong to this lease: one per
  /// unit, the first unit lowest.
  public long mask() {
    return units() == MAX_UNITS ? -1L : (1L << units()) - 1;
  }
}
