package dev.prestage.control.aggregate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Counts the most frequent keys of a stream as [FrequentKeys] does, where a key is two numbers.
///
/// Keys and counts lie side by side in one array with linear probing, so that to count a key is one
/// read of memory that is not in the cache, where a map of objects takes five or six. At 32,768
/// places those reads were most of what counting took.
///
/// A key has a place, a number below the bound, for as long as it is counted: what else is kept of
/// it lies there, in arrays of the caller.
final class FrequentPairs {
  // A slot is half a cache line: the key, how often it was seen, and in one number how often it may
  // have been missed and its place plus one. Of a free slot that number is 0.
  private static final int SLOT = 4;
  private static final int SEEN = 2;
  private static final int REST = 3;

  private static final int PLACE_BITS = 20;
  private static final int MOST_PLACES = (1 << PLACE_BITS) - 1;

  private static final int FIRST_SLOTS = 1 << 8;

  private final int places;
  private long[] slots = new long[FIRST_SLOTS * SLOT];
  private int size;

  /// Places that were used and are free, in the first [#freed] elements.
  private int[] free = {};

  private int freed;
  private boolean exact = true;

  /// What a key without a place may have at most.
  private long missedUpTo;

  /// A key with what was counted, as in [FrequentKeys.Counted].
  record Counted(long first, long second, int place, long seen, long missedUpTo) {}

  /// @param places how many keys are counted at the same time
  FrequentPairs(int places) {
    if (places < 1 || places > MOST_PLACES) {
      throw new IllegalArgumentException("places " + places);
    }
    this.places = places;
  }

  /// Counts one occurrence.
  ///
  /// @return the key's place, or, if the key has none yet, `~place` of the one that it gets
  int add(long first, long second) {
    int at = slot(first, second);
    if (slots[at + REST] != 0) {
      slots[at + SEEN]++;
      return place(slots[at + REST]);
    }
    if (size == places) {
      makeRoom();
      at = slot(first, second);
    } else if (size * SLOT * 2 >= slots.length) {
      rebuild(slots.length * 2, Long.MIN_VALUE, 0);
      at = slot(first, second);
    }
    int place = freed > 0 ? free[--freed] : size;
    size++;
    slots[at] = first;
    slots[at + 1] = second;
    slots[at + SEEN] = 1;
    slots[at + REST] = (missedUpTo << PLACE_BITS) | (place + 1);
    return ~place;
  }

  private static int place(long rest) {
    return ((int) rest & MOST_PLACES) - 1;
  }

  private static long missed(long rest) {
    return rest >>> PLACE_BITS;
  }

  /// Where the key is, or the free slot where it would be.
  private int slot(long first, long second) {
    long hash = first * 0x9E37_79B9_7F4A_7C15L + second;
    hash = (hash ^ (hash >>> 32)) * 0xD6E8_FEB8_6659_FD93L;
    int at = ((int) (hash >>> 32) * SLOT) & (slots.length - 1);
    while (slots[at + REST] != 0 && (slots[at] != first || slots[at + 1] != second)) {
      at = (at + SLOT) & (slots.length - 1);
    }
    return at;
  }

  /// The half that was counted least goes.
  private void makeRoom() {
    exact = false;
    if (free.length == 0) {
      free = new int[places];
    }
    long[] counts = new long[size];
    int next = 0;
    for (int at = 0; at < slots.length; at += SLOT) {
      if (slots[at + REST] != 0) {
        counts[next++] = slots[at + SEEN] + missed(slots[at + REST]);
      }
    }
    Arrays.sort(counts);
    long median = counts[counts.length / 2];
    // Of equal ones as many as it takes.
    int ofMedian = 1 + counts.length / 2;
    for (int i = 0; i < counts.length && counts[i] < median; i++) {
      ofMedian--;
    }
    rebuild(slots.length, median, ofMedian);
    missedUpTo = Math.max(missedUpTo, median);
  }

  /// Keeps the keys that were counted more than `above`, and those that were counted so often
  /// except the first `except`.
  private void rebuild(int length, long above, int except) {
    long[] before = slots;
    slots = new long[length];
    int leave = except;
    for (int at = 0; at < before.length; at += SLOT) {
      if (before[at + REST] == 0) {
        continue;
      }
      long most = before[at + SEEN] + missed(before[at + REST]);
      if (most < above || (most == above && leave-- > 0)) {
        free[freed++] = place(before[at + REST]);
        size--;
      } else {
        System.arraycopy(before, at, slots, slot(before[at], before[at + 1]), SLOT);
      }
    }
  }

  /// Whether no key ever lost its place, so that every count is exact.
  boolean exact() {
    return exact;
  }

  /// How often a key occurred at most, whether or not it has a place.
  long most(long first, long second) {
    int at = slot(first, second);
    return slots[at + REST] == 0 ? missedUpTo : slots[at + SEEN] + missed(slots[at + REST]);
  }

  /// All keys that have a place, in no order.
  List<Counted> all() {
    List<Counted> all = new ArrayList<>(size);
    for (int at = 0; at < slots.length; at += SLOT) {
      if (slots[at + REST] != 0) {
        all.add(
            new Counted(
                slots[at],
                slots[at + 1],
                place(slots[at + REST]),
                slots[at + SEEN],
                missed(slots[at + REST])));
      }
    }
    return all;
  }
}
