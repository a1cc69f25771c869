package dev.prestage.engine.predict;

import java.util.Arrays;

/// Numbers of units, found by hash; nothing is ever taken out.
final class UnitMap {
  /// What is said of a unit that has no number.
  static final int NONE = -1;

  private static final int LEAST_SLOTS = 64;
  private static final long FREE = -1;

  private long[] units;
  private int[] numbers;
  private int size;

  UnitMap() {
    this(0);
  }

  /// @param expected how many units it will hold, about
  UnitMap(int expected) {
    int slots = Math.max(LEAST_SLOTS, 2 * Integer.highestOneBit(Math.max(1, 2 * expected - 1)));
    units = new long[slots];
    numbers = new int[slots];
    Arrays.fill(units, FREE);
  }

  int size() {
    return size;
  }

  int get(long unit) {
    int slot = slot(unit);
    return units[slot] == FREE ? NONE : numbers[slot];
  }

  void put(long unit, int number) {
    int slot = slot(unit);
    if (units[slot] == FREE) {
      if (2 * size >= units.length) {
        grow();
        slot = slot(unit);
      }
      units[slot] = unit;
      size++;
    }
    numbers[slot] = number;
  }

  long memoryBytes() {
    return 12L * units.length;
  }

  private void grow() {
    long[] oldUnits = units;
    int[] oldNumbers = numbers;
    units = new long[2 * oldUnits.length];
    numbers = new int[units.length];
    Arrays.fill(units, FREE);
    for (int old = 0; old < oldUnits.length; old++) {
      if (oldUnits[old] != FREE) {
        int slot = slot(oldUnits[old]);
        units[slot] = oldUnits[old];
        numbers[slot] = oldNumbers[old];
      }
    }
  }

  private int slot(long unit) {
    int slot = Hash.of(unit) & (units.length - 1);
    while (units[slot] != FREE && units[slot] != unit) {
      slot = (slot + 1) & (units.length - 1);
    }
    return slot;
  }
}
