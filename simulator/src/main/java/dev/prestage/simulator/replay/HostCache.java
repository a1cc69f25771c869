package dev.prestage.simulator.replay;

import it.unimi.dsi.fastutil.longs.Long2IntOpenHashMap;
import java.util.Arrays;

/// The pages that a simulated host holds: least recently used, filled by demand and by fetches
/// alike. It knows which pages were fetched ahead and have not been demanded yet.
final class HostCache {
  /// No run: the page was demanded.
  static final int PROVEN = -1;

  private static final int NONE = -1;

  private final int capacity;
  private final Evictions evictions;
  private final Long2IntOpenHashMap slots = new Long2IntOpenHashMap();
  private long[] pages = new long[1024];
  private int[] fetchedFor = new int[1024];
  private int[] newer = new int[1024];
  private int[] older = new int[1024];
  private int newest = NONE;
  private int oldest = NONE;

  /// Hears of pages that leave to make room.
  interface Evictions {
    /// A page left.
    ///
    /// @param fetchedFor the run for which it was fetched ahead in vain, or [#PROVEN]
    void evicted(long page, int fetchedFor);
  }

  /// @param capacity in pages, at least 1
  HostCache(int capacity, Evictions evictions) {
    this.capacity = capacity;
    this.evictions = evictions;
    slots.defaultReturnValue(NONE);
  }

  boolean contains(long page) {
    return slots.containsKey(page);
  }

  /// Where a page is, or a negative number if it is not here.
  int find(long page) {
    return slots.get(page);
  }

  /// A page that is here was demanded.
  ///
  /// @return the run for which it was fetched ahead if this is its first demand, or [#PROVEN]
  int demand(int slot) {
    int run = fetchedFor[slot];
    fetchedFor[slot] = PROVEN;
    if (slot != newest) {
      unlink(slot);
      link(slot);
    }
    return run;
  }

  /// A page that is not here comes, and the oldest one leaves if there is no room.
  ///
  /// @param run the run for which it was fetched ahead, or [#PROVEN]
  void insert(long page, int run) {
    int slot = slots.size();
    if (slot == capacity) {
      slot = oldest;
      long evicted = pages[slot];
      int inVain = fetchedFor[slot];
      unlink(slot);
      slots.remove(evicted);
      evictions.evicted(evicted, inVain);
    } else if (slot == pages.length) {
      grow();
    }
    pages[slot] = page;
    fetchedFor[slot] = run;
    slots.put(page, slot);
    link(slot);
  }

  private void grow() {
    int length = Math.min(capacity, 2 * pages.length);
    pages = Arrays.copyOf(pages, length);
    fetchedFor = Arrays.copyOf(fetchedFor, length);
    newer = Arrays.copyOf(newer, length);
    older = Arrays.copyOf(older, length);
  }

  private void link(int slot) {
    newer[slot] = NONE;
    older[slot] = newest;
    if (newest == NONE) {
      oldest = slot;
    } else {
      newer[newest] = slot;
    }
    newest = slot;
  }

  private void unlink(int slot) {
    if (newer[slot] == NONE) {
      newest = older[slot];
    } else {
      older[newer[slot]] = older[slot];
    }
    if (older[slot] == NONE) {
      oldest = newer[slot];
    } else {
      newer[older[slot]] = newer[slot];
    }
  }
}
