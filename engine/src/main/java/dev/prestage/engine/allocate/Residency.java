package dev.prestage.engine.allocate;

import dev.prestage.engine.resource.Space;
import java.util.BitSet;

/// What the planner believes about the extents of one attached space. The tier knows better, and
/// corrects it; a wrong belief costs a redundant extent or a missed one, never a byte.
final class Residency {
  private final Space space;
  private final BitSet resident = new BitSet();
  private final BitSet claimed = new BitSet();
  private final BitSet waiting = new BitSet();

  Residency(Space space) {
    this.space = space;
  }

  Space space() {
    return space;
  }

  /// Whether the extent exists, is not on this host, and nothing was decided about it yet.
  boolean isOpen(long index) {
    return index < space.units()
        && !resident.get((int) index)
        && !claimed.get((int) index)
        && !waiting.get((int) index);
  }

  boolean isResident(long index) {
    return resident.get((int) index);
  }

  boolean areResident(long first, int extents) {
    return resident.nextClearBit((int) first) >= first + extents;
  }

  boolean isClaimed(long index) {
    return claimed.get((int) index);
  }

  boolean isWaiting(long index) {
    return waiting.get((int) index);
  }

  void resident(long first, int extents, boolean there) {
    resident.set((int) first, (int) first + extents, there);
  }

  void claimed(long first, int extents, boolean there) {
    claimed.set((int) first, (int) first + extents, there);
  }

  void waiting(long first, int extents, boolean there) {
    waiting.set((int) first, (int) first + extents, there);
  }

  /// All that is known about what is there is replaced.
  void replace(BitSet extents) {
    resident.clear();
    resident.or(extents);
  }

  int residentExtents() {
    return resident.cardinality();
  }
}
