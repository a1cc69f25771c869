package dev.prestage.engine.predict;

import java.util.Arrays;

/// The units about which experts are asked after a request, each once, with the evidence for it.
/// Only units that are open count: neither here nor on their way.
final class Candidates {
  /// Some three times what is in flight.
  static final int MOST = 96;

  /// So many units of a logged request are looked at.
  static final int UNITS_OF_REQUEST = 64;

  /// So many units are looked at in all.
  private static final int MOST_LOOKED_AT = 1500;

  /// The evidence of a unit that does not stand in a sequence.
  static final int NOT = -1;

  static final int BEST = 1;
  static final int SECOND = 2;

  private static final int SLOTS = 512;

  final long[] unit = new long[MOST];
  final int[] votes = new int[MOST];
  final int[] voteOffset = new int[MOST];
  final int[] match = new int[MOST];
  final int[] matchOffset = new int[MOST];
  final int[] ahead = new int[MOST];

  /// What is known of a unit's own past, as [HistoryExpert] sees it.
  final int[] touches = new int[MOST];

  final int[] waste = new int[MOST];
  final int[] ageClass = new int[MOST];

  /// Evidence and contexts of the opinion, as they are recorded.
  final long[] features = new long[MOST];

  final int[] contexts = new int[MOST];

  final float[] probability = new float[MOST];

  private final short[] slots = new short[SLOTS];
  private final short[] used = new short[MOST];
  private int size;
  private int lookedAt;

  Candidates() {
    Arrays.fill(slots, (short) NOT);
  }

  int size() {
    return size;
  }

  boolean isExhausted() {
    return lookedAt >= MOST_LOOKED_AT;
  }

  void clear() {
    for (int i = 0; i < size; i++) {
      slots[used[i]] = (short) NOT;
    }
    size = 0;
    lookedAt = 0;
  }

  /// The row of a unit, which is added if it is open and there is room; else [#NOT].
  int row(long wanted, RequestLog log, Forecaster.Open open) {
    lookedAt++;
    int slot = Hash.of(wanted) & (SLOTS - 1);
    while (slots[slot] != NOT) {
      if (unit[slots[slot]] == wanted) {
        return slots[slot];
      }
      slot = (slot + 1) & (SLOTS - 1);
    }
    if (size == MOST || !open.isOpen(wanted)) {
      return NOT;
    }
    unit[size] = wanted;
    votes[size] = 0;
    voteOffset[size] = Integer.MAX_VALUE;
    match[size] = 0;
    matchOffset[size] = Integer.MAX_VALUE;
    ahead[size] = NOT;
    int lastTouch = log.find(wanted);
    touches[size] = log.touches(wanted, lastTouch);
    waste[size] = log.waste(wanted, lastTouch);
    ageClass[size] = lastTouch == RequestLog.NONE ? 0 : HistoryExpert.ageClass(log.age(lastTouch));
    slots[slot] = (short) size;
    used[size] = (short) slot;
    return size++;
  }
}
