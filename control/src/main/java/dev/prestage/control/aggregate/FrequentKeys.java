package dev.prestage.control.aggregate;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/// Counts the most frequent keys of a stream in bounded memory, after Anderson, Bevin, Lang,
/// Liberty, Rhodes and Thaler, "A high-performance algorithm for identifying frequent items in data
/// streams" (2017): when the places run out, the half of the keys that were counted least goes.
///
/// As long as there are no more keys than places, every count is exact. After that a new key may
/// have been counted before and gone, so what the most frequent of those that went had counts as
/// what may have been missed of it. The true count of a key lies between [Counted#seen] and `seen +
/// missedUpTo`, and a key that makes up more than 2/places of the stream is never without a place.
/// What else is kept of a key, its value, is of the `seen` occurrences only.
final class FrequentKeys<K, V> {
  /// A key with what was counted.
  static final class Counted<K, V> {
    private final K key;
    private final V value;
    private long missedUpTo;
    private long seen;

    private Counted(K key, V value, long missedUpTo) {
      this.key = key;
      this.value = value;
      this.missedUpTo = missedUpTo;
    }

    K key() {
      return key;
    }

    V value() {
      return value;
    }

    /// Occurrences since the key has its place.
    long seen() {
      return seen;
    }

    /// At most so many before.
    long missedUpTo() {
      return missedUpTo;
    }

    private long most() {
      return seen + missedUpTo;
    }
  }

  private final int places;
  private final Supplier<V> fresh;
  private final Map<K, Counted<K, V>> byKey = new HashMap<>();
  private boolean exact = true;

  /// What a key without a place may have at most.
  private long missedUpTo;

  /// @param places how many keys are counted at the same time
  /// @param fresh makes the value of a new key
  FrequentKeys(int places, Supplier<V> fresh) {
    if (places < 1) {
      throw new IllegalArgumentException("places " + places);
    }
    this.places = places;
    this.fresh = fresh;
  }

  /// One that only counts.
  static <K> FrequentKeys<K, Boolean> ofKeys(int places) {
    return new FrequentKeys<>(places, () -> true);
  }

  /// Counts one occurrence.
  ///
  /// @return the key's value
  V add(K key) {
    return add(key, 1, 0);
  }

  /// Counts what was counted of a key elsewhere.
  ///
  /// @param seen how often it was seen there
  /// @param missed how often it may have been missed there, beyond what any key may have been
  /// @return the key's value
  V add(K key, long seen, long missed) {
    Counted<K, V> counted = byKey.get(key);
    if (counted == null) {
      if (byKey.size() == places) {
        makeRoom();
      }
      counted = new Counted<>(key, fresh.get(), missedUpTo);
      byKey.put(key, counted);
    }
    counted.seen += seen;
    counted.missedUpTo += missed;
    return counted.value;
  }

  private void makeRoom() {
    exact = false;
    long[] counts = byKey.values().stream().mapToLong(Counted::most).sorted().toArray();
    long median = counts[counts.length / 2];
    // Of equal ones as many as it takes.
    int ofMedian = 1 + counts.length / 2;
    for (long count : counts) {
      ofMedian -= count < median ? 1 : 0;
    }
    for (var all = byKey.values().iterator(); all.hasNext(); ) {
      long most = all.next().most();
      if (most < median || (most == median && ofMedian-- > 0)) {
        all.remove();
      }
    }
    missedUpTo = Math.max(missedUpTo, median);
  }

  /// Counts all as if each key might have been missed so often before.
  void missed(long upTo) {
    exact &= upTo == 0;
    missedUpTo += upTo;
    byKey.values().forEach(counted -> counted.missedUpTo += upTo);
  }

  /// Whether no key ever lost its place, so that every count is exact.
  boolean exact() {
    return exact;
  }

  /// What a key without a place may have at most.
  long missedUpTo() {
    return missedUpTo;
  }

  /// Keys that have a place.
  int size() {
    return byKey.size();
  }

  /// How often a key occurred at most, whether or not it has a place.
  long most(K key) {
    Counted<K, V> counted = byKey.get(key);
    return counted == null ? missedUpTo : counted.most();
  }

  /// All keys that have a place, in no order.
  Iterable<Counted<K, V>> all() {
    return byKey.values();
  }

  /// The keys that were seen most often, in that order; of equal ones in the given order.
  List<Counted<K, V>> top(int limit, Comparator<K> ofEqual) {
    List<Counted<K, V>> sorted = new ArrayList<>(byKey.values());
    sorted.sort(
        Comparator.<Counted<K, V>>comparingLong(Counted::seen)
            .reversed()
            .thenComparing(Counted::key, ofEqual));
    return List.copyOf(sorted.subList(0, Math.min(limit, sorted.size())));
  }
}
