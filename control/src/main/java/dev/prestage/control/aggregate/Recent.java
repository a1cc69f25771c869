package dev.prestage.control.aggregate;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;

/// What is remembered by key, of the keys used last: when there are too many, the one that was not
/// used for longest is forgotten. A run that ended is never asked for again, so what is forgotten
/// is missed only when more runs than the bound are under way at the same time.
final class Recent<K, V> {
  /// More runs than a host has at one time; 10 MB of what is remembered.
  static final int RUNS = 1 << 15;

  private final Map<K, V> values;
  private final Supplier<V> fresh;

  /// @param capacity how many keys are remembered
  /// @param fresh makes what is remembered for a new key
  /// @param forgotten is told what is remembered no longer
  Recent(int capacity, Supplier<V> fresh, Consumer<V> forgotten) {
    this.fresh = fresh;
    this.values =
        new LinkedHashMap<>(16, 0.75f, true) {
          private static final long serialVersionUID = 1;

          @Override
          protected boolean removeEldestEntry(Map.Entry<K, V> eldest) {
            if (size() <= capacity) {
              return false;
            }
            forgotten.accept(eldest.getValue());
            return true;
          }
        };
  }

  /// What is remembered for a key; new if nothing is.
  V of(K key) {
    return values.computeIfAbsent(key, _ -> fresh.get());
  }

  /// All that is remembered.
  Iterable<V> values() {
    return values.values();
  }

  int size() {
    return values.size();
  }
}
