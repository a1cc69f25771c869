package dev.prestage.control.aggregate;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/// Counts the most frequent keys of a stream in bounded memory: Metwally, Agrawal and El Abbadi,
/// "Efficient computation of frequent and top-k elements in data streams" (2005), section 3.
///
/// As long as there are no more keys than places, every count is exact. After that a new key takes
/// the place of the one that was seen least, and what that one had counts as what may have been
/// missed of the new one. So the true count of a key lies between [Counted#seen] and `seen +
/// missedUpTo`, and a key that makes up more than 1/places of the stream is never without a place.
/// What else is kept of a key, its value, is of the `seen` occurrences only.
///
/// The key that was seen least is on top of a heap by the upper bound, which is made when the
/// places run out.
final class SpaceSaving<K, V> {
  /// A key with what was counted.
  static final class Counted<K, V> {
    private final K key;
    private final V value;
    private final long missedUpTo;
    private long seen;
    private int place;

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
  private final List<Counted<K, V>> heap = new ArrayList<>();
  private boolean exact = true;

  /// @param places how many keys are counted at the same time
  /// @param fresh makes the value of a new key
  SpaceSaving(int places, Supplier<V> fresh) {
    if (places < 1) {
      throw new IllegalArgumentException("places " + places);
    }
    this.places = places;
    this.fresh = fresh;
  }

  /// One that only counts.
  static <K> SpaceSaving<K, Boolean> ofKeys(int places) {
    return new SpaceSaving<>(places, () -> true);
  }

  /// Counts one occurrence.
  ///
  /// @return the key's value
  V add(K key) {
    Counted<K, V> counted = byKey.get(key);
    if (counted == null) {
      counted = give(key);
    }
    counted.seen++;
    if (!exact) {
      sink(counted.place);
    }
    return counted.value;
  }

  /// Whether no key ever lost its place, so that every count is exact.
  boolean exact() {
    return exact;
  }

  /// Keys that have a place.
  int size() {
    return byKey.size();
  }

  /// How often a key occurred at most, whether or not it has a place.
  long most(K key) {
    Counted<K, V> counted = byKey.get(key);
    if (counted == null) {
      return exact ? 0 : heap.getFirst().most();
    }
    return counted.most();
  }

  /// The keys that were seen most often, in that order; of equal ones in the given order.
  List<Counted<K, V>> top(int limit, Comparator<K> ofEqual) {
    return byKey.values().stream()
        .sorted(
            Comparator.<Counted<K, V>>comparingLong(Counted::seen)
                .reversed()
                .thenComparing(Counted::key, ofEqual))
        .limit(limit)
        .toList();
  }

  private Counted<K, V> give(K key) {
    Counted<K, V> counted;
    if (byKey.size() < places) {
      counted = new Counted<>(key, fresh.get(), 0);
      counted.place = heap.size();
      heap.add(counted);
    } else {
      if (exact) {
        exact = false;
        for (int place = heap.size() / 2 - 1; place >= 0; place--) {
          sink(place);
        }
      }
      Counted<K, V> least = heap.getFirst();
      byKey.remove(least.key);
      counted = new Counted<>(key, fresh.get(), least.most());
      put(0, counted);
    }
    byKey.put(key, counted);
    return counted;
  }

  private void put(int place, Counted<K, V> counted) {
    counted.place = place;
    heap.set(place, counted);
  }

  /// Moves what stands at a place down until nothing below it is less.
  private void sink(int from) {
    int place = from;
    Counted<K, V> sinking = heap.get(place);
    while (true) {
      int child = 2 * place + 1;
      if (child >= heap.size()) {
        break;
      }
      if (child + 1 < heap.size() && heap.get(child + 1).most() < heap.get(child).most()) {
        child++;
      }
      if (heap.get(child).most() >= sinking.most()) {
        break;
      }
      put(place, heap.get(child));
      place = child;
    }
    put(place, sinking);
  }
}
