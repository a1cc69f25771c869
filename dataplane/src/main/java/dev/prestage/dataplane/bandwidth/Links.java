package dev.prestage.dataplane.bandwidth;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// The links to all origins. Who reads over them and who promises of them share one lock.
public final class Links {
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<String, Link> links = new LinkedHashMap<>();

  private final Promises promises;

  /// A link for each origin.
  ///
  /// @param capacities bytes per second by the origin's name; 0 to measure
  public Links(Map<String, Long> capacities) {
    this(capacities, Promises.RUNS);
  }

  /// As above.
  ///
  /// @param promises by what shares of them are promised
  public Links(Map<String, Long> capacities, Promises promises) {
    this.promises = promises;
    capacities.forEach((name, capacity) -> links.put(name, new Link(name, capacity, lock)));
  }

  /// The link to an origin, or null if there is none of that name.
  public @Nullable Link of(String origin) {
    return links.get(origin);
  }

  /// All of them.
  Collection<Link> all() {
    return links.values();
  }

  Promises promises() {
    return promises;
  }

  ReentrantLock lock() {
    return lock;
  }
}
