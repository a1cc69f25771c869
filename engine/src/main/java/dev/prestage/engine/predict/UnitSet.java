package dev.prestage.engine.predict;

import java.util.Arrays;

/// A set of units that lie in clusters: a word of 64 bits for each 64 neighbours of which any is in
/// it, found by hash.
final class UnitSet {
  private static final int LEAST_SLOTS = 64;
  private static final long FREE = -1;

  private long[] keys = free(LEAST_SLOTS);
  private long[] words = new long[LEAST_SLOTS];
  private int used;
  private int size;

  int size() {
    return size;
  }

  boolean contains(long unit) {
    return ((word(unit >>> 6) >>> unit) & 1) != 0;
  }

  /// The 64 neighbours whose numbers begin alike, one a bit.
  long word(long key) {
    int slot = slot(key);
    return keys[slot] == key ? words[slot] : 0;
  }

  /// Adds a unit.
  ///
  /// @return whether it was not in it
  boolean add(long unit) {
    int slot = slot(unit >>> 6);
    if (keys[slot] == FREE) {
      if (2 * used >= keys.length) {
        grow();
        slot = slot(unit >>> 6);
      }
      keys[slot] = unit >>> 6;
      used++;
    }
    long bit = 1L << unit;
    boolean isNew = (words[slot] & bit) == 0;
    words[slot] |= bit;
    size += isNew ? 1 : 0;
    return isNew;
  }

  void remove(long unit) {
    int slot = slot(unit >>> 6);
    long bit = 1L << unit;
    if (keys[slot] != FREE && (words[slot] & bit) != 0) {
      words[slot] &= ~bit;
      size--;
    }
  }

  private void grow() {
    long[] oldKeys = keys;
    long[] oldWords = words;
    keys = free(2 * oldKeys.length);
    words = new long[keys.length];
    for (int old = 0; old < oldKeys.length; old++) {
      if (oldKeys[old] != FREE) {
        int slot = slot(oldKeys[old]);
        keys[slot] = oldKeys[old];
        words[slot] = oldWords[old];
      }
    }
  }

  private int slot(long key) {
    int slot = Hash.of(key) & (keys.length - 1);
    while (keys[slot] != FREE && keys[slot] != key) {
      slot = (slot + 1) & (keys.length - 1);
    }
    return slot;
  }

  private static long[] free(int slots) {
    long[] keys = new long[slots];
    Arrays.fill(keys, FREE);
    return keys;
  }
}
