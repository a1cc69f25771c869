package dev.prestage.simulator.cache;

import it.unimi.dsi.fastutil.longs.LongOpenHashSet;

/// Never evicts: only first touches miss.
///
/// The ceiling of everything that is filled by demand alone. What it misses only a prefetch can
/// save.
public final class Unbounded implements PageCache {
  private final LongOpenHashSet pages = new LongOpenHashSet();

  /// An empty cache.
  public Unbounded() {}

  @Override
  public boolean access(long page) {
    return !pages.add(page);
  }

  int size() {
    return pages.size();
  }
}
