package dev.prestage.engine.allocate;

import dev.prestage.engine.resource.Space;
import java.util.BitSet;
import java.util.HashSet;
import java.util.Set;

/// What the planner believes about the units of one space that a VM here is bound to. The edge
/// knows better, and corrects it; a wrong belief costs a redundant unit or a missed one, never a
/// byte.
final class Residency {
  /// Until one is measured: a round trip to a storage system next door.
  static final long FIRST_FETCH_NANOS = 10_000_000;

  /// How fast the estimate follows: about the last eight leases.
  private static final int FETCH_MEMORY = 8;

  /// How fast the estimate of a miss rises: about the last 64 leases. It falls at once, because a
  /// lease that came sooner had less to wait behind.
  private static final int MISS_MEMORY = 64;

  private final int key;
  private final Space space;
  private final BitSet resident = new BitSet();
  private final BitSet claimed = new BitSet();
  private final BitSet waiting = new BitSet();
  private final BitSet failed = new BitSet();

  /// Units that were here and had to leave, until they come again.
  private final BitSet left = new BitSet();

  private final Set<Integer> bindings = new HashSet<>();
  private int leases;
  private long fetchNanos = FIRST_FETCH_NANOS;
  private boolean fetchKnown;
  private long missNanos = FIRST_FETCH_NANOS;

  /// @param key under which the planner finds it
  Residency(int key, Space space) {
    this.key = key;
    this.space = space;
  }

  int key() {
    return key;
  }

  Space space() {
    return space;
  }

  /// A binding to the space begins. Repeating it is harmless.
  void bound(int binding) {
    bindings.add(binding);
  }

  void unbound(int binding) {
    bindings.remove(binding);
  }

  boolean isBound(int binding) {
    return bindings.contains(binding);
  }

  /// A lease's units are here so long after it was granted; what a clock that stepped back measured
  /// says nothing.
  void fetched(long nanos) {
    if (nanos < 0) {
      return;
    }
    missNanos =
        !fetchKnown || nanos < missNanos ? nanos : missNanos + (nanos - missNanos) / MISS_MEMORY;
    fetchNanos = fetchKnown ? fetchNanos + (nanos - fetchNanos) / FETCH_MEMORY : nanos;
    fetchKnown = true;
  }

  /// How long a unit is on its way, as the last leases showed.
  long fetchNanos() {
    return fetchNanos;
  }

  /// What a guest that misses a unit waits: the way to the origin without what staging waits for.
  long missNanos() {
    return missNanos;
  }

  void leased() {
    leases++;
  }

  void leaseEnded() {
    leases--;
  }

  /// Whether nobody is bound to the space any more, and no lease holds anything of it.
  boolean isDone() {
    return bindings.isEmpty() && leases == 0;
  }

  /// Whether the unit exists, is not on this host, nothing was decided about it yet, and it did not
  /// just fail.
  boolean isOpen(long index) {
    return index < space.units()
        && !resident.get((int) index)
        && !claimed.get((int) index)
        && !waiting.get((int) index)
        && !failed.get((int) index);
  }

  boolean isResident(long index) {
    return resident.get((int) index);
  }

  boolean isClaimed(long index) {
    return claimed.get((int) index);
  }

  boolean isWaiting(long index) {
    return waiting.get((int) index);
  }

  void resident(long first, int units, boolean there) {
    resident.set((int) first, (int) first + units, there);
  }

  /// Units that are here leave.
  void evicted(long first, int units) {
    for (int unit = resident.nextSetBit((int) first);
        unit >= 0 && unit < first + units;
        unit = resident.nextSetBit(unit + 1)) {
      left.set(unit);
    }
    resident(first, units, false);
  }

  /// A guest demanded a unit, which is here now.
  ///
  /// @return whether it had been here before and had to leave
  boolean demanded(long index) {
    boolean regretted = left.get((int) index) && !resident.get((int) index);
    left.clear((int) index);
    resident.set((int) index);
    return regretted;
  }

  void claimed(long first, int units, boolean there) {
    claimed.set((int) first, (int) first + units, there);
  }

  void waiting(long first, int units, boolean there) {
    waiting.set((int) first, (int) first + units, there);
  }

  /// The unit could not be staged: it is left alone for a while.
  void failed(long index) {
    failed.set((int) index);
  }

  /// Whether there was anything to forget.
  boolean forgetFailed() {
    boolean any = !failed.isEmpty();
    failed.clear();
    return any;
  }

  /// All that is known about what is there is replaced.
  void replace(BitSet units) {
    resident.clear();
    resident.or(units);
  }
}
