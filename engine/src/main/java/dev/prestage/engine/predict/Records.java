package dev.prestage.engine.predict;

import java.util.Arrays;

/// Opinions that wait for the truth: for each unit at most one, with all that is needed to learn
/// from it. A ring in the order of opinions with a chained hash by unit; it grows up to its bound,
/// and then the oldest opinion makes room.
final class Records {
  static final int NONE = -1;

  private static final int LEAST = 1 << 8;

  /// 1.4 MiB.
  private static final int MOST = 1 << 15;

  private static final byte FREE = 0;
  private static final byte REFUSED = 1;
  private static final byte ISSUED = 2;

  private long[] unit;
  private long[] readyNanos;
  private long[] clock;
  private long[] features;
  private int[] contexts;
  private float[] probability;
  private byte[] kind;
  private int[] stream;
  private int[] next;
  private int[] heads;
  private int oldest;
  private int size;

  /// Hears of opinions whose time is over.
  interface Expired {
    void expired(int record);
  }

  Records() {
    allocate(LEAST);
  }

  private void allocate(int capacity) {
    unit = new long[capacity];
    readyNanos = new long[capacity];
    clock = new long[capacity];
    features = new long[capacity];
    contexts = new int[capacity];
    probability = new float[capacity];
    kind = new byte[capacity];
    stream = new int[capacity];
    next = new int[capacity];
    heads = new int[capacity];
    Arrays.fill(heads, NONE);
  }

  long memoryBytes() {
    return 53L * unit.length;
  }

  int find(long wanted) {
    int record = heads[head(wanted)];
    while (record != NONE && unit[record] != wanted) {
      record = next[record];
    }
    return record;
  }

  boolean isIssued(int record) {
    return kind[record] == ISSUED;
  }

  long unit(int record) {
    return unit[record];
  }

  long readyNanos(int record) {
    return readyNanos[record];
  }

  float probability(int record) {
    return probability[record];
  }

  long features(int record) {
    return features[record];
  }

  int contexts(int record) {
    return contexts[record];
  }

  /// Adds an opinion on a unit that has none.
  ///
  /// @param issued whether it was acted on
  /// @param ready when the unit could have been here
  /// @param came how many units had come to the host
  void add(
      long of,
      boolean issued,
      long ready,
      long came,
      float likely,
      long featuresOf,
      int contextsOf,
      int streamOf,
      Expired expired) {
    if (size == unit.length) {
      makeRoom(expired);
    }
    int record = (oldest + size++) & (unit.length - 1);
    unit[record] = of;
    readyNanos[record] = ready;
    clock[record] = came;
    features[record] = featuresOf;
    contexts[record] = contextsOf;
    probability[record] = likely;
    kind[record] = issued ? ISSUED : REFUSED;
    stream[record] = streamOf;
    int head = head(of);
    next[record] = heads[head];
    heads[head] = record;
  }

  private void makeRoom(Expired expired) {
    if (kind[oldest] == FREE) {
      oldest = (oldest + 1) & (unit.length - 1);
      size--;
    } else if (unit.length < MOST) {
      grow();
    } else {
      expired.expired(oldest);
      drop(oldest);
      oldest = (oldest + 1) & (unit.length - 1);
      size--;
    }
  }

  private void grow() {
    long[] units = unit;
    long[] readies = readyNanos;
    long[] clocks = clock;
    long[] featuresOf = features;
    int[] contextsOf = contexts;
    float[] probabilities = probability;
    byte[] kinds = kind;
    int[] streams = stream;
    int first = oldest;
    int count = size;
    allocate(2 * units.length);
    oldest = 0;
    size = 0;
    for (int i = 0; i < count; i++) {
      int from = (first + i) & (units.length - 1);
      if (kinds[from] != FREE) {
        unit[size] = units[from];
        readyNanos[size] = readies[from];
        clock[size] = clocks[from];
        features[size] = featuresOf[from];
        contexts[size] = contextsOf[from];
        probability[size] = probabilities[from];
        kind[size] = kinds[from];
        stream[size] = streams[from];
        int head = head(units[from]);
        next[size] = heads[head];
        heads[head] = size++;
      }
    }
  }

  /// Ends all that a stream said.
  void endStream(int of, Expired expired) {
    for (int i = 0; i < size; i++) {
      int record = (oldest + i) & (unit.length - 1);
      if (kind[record] != FREE && stream[record] == of) {
        expired.expired(record);
        drop(record);
      }
    }
  }

  /// Ends those that were added before so many units had come, or that could have been here before
  /// a time.
  void expire(long before, long beforeNanos, Expired expired) {
    while (size > 0
        && (kind[oldest] == FREE || clock[oldest] <= before || readyNanos[oldest] < beforeNanos)) {
      if (kind[oldest] != FREE) {
        expired.expired(oldest);
        drop(oldest);
      }
      oldest = (oldest + 1) & (unit.length - 1);
      size--;
    }
  }

  /// Takes an opinion out.
  void drop(int record) {
    int head = head(unit[record]);
    if (heads[head] == record) {
      heads[head] = next[record];
    } else {
      int at = heads[head];
      while (next[at] != record) {
        at = next[at];
      }
      next[at] = next[record];
    }
    kind[record] = FREE;
  }

  private int head(long of) {
    return Hash.of(of) & (heads.length - 1);
  }
}
