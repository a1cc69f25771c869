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
  private final BitSet failed = new BitSet();

  Residency(Space space) {
    this.space = space;
  }

  Space space() {
    return space;
  }

  /// Whether the extent exists, is not on this host, nothing was decided about it yet, and it did
  /// not just fail.
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

  void resident(long first, int extents, boolean there) {
    resident.set((int) first, (int) first + extents, there);
  }

  void claimed(long first, int extents, boolean there) {
    claimed.set((int) first, (int) first + extents, there);
  }

  void waiting(long first, int extents, boolean there) {
    waiting.set((int) first, (int) first + extents, there);
  }

  /// The extent could not be staged: it is left alone for a while.
  void failed(long index) {
    failed.set((int) index);
  }

  void forgetFailed() {
    failed.clear();
  }

  /// All that is known about what is there is replaced.
  void replace(BitSet extents) {
    resident.clear();
    resident.or(extents);
  }
}
