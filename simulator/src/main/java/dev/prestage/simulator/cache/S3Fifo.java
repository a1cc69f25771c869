package dev.prestage.simulator.cache;

/// Three first-in-first-out queues: a small one on probation, the main one, and the ghosts that
/// failed probation (Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023).
///
/// Most pages are not demanded again soon; the small queue gets rid of them before they push out
/// what is worth keeping. A page moves to the main queue if it was demanded at least twice more in
/// the small one, or comes back while its ghost is remembered; the main queue gives a page another
/// round for each demand, up to three.
///
/// Shares of the capacity, rounded down: small .10, main the rest, ghosts .90. The variant is
/// libCacheSim's `S3FIFOv0`, by its authors the paper's own: a page that moves to the main queue
/// starts there without hits and evicts no other at once; the cache then evicts from the main queue
/// while that holds more than its share, else from the small one; the main queue leaves no ghosts.
/// (Their later `S3FIFO` fills the main queue directly until the first eviction: between .003 less
/// and .008 more misses a page on the traces compared.) Different from there, a cache of fewer than
/// ten pages has a small queue too, of one page.
public final class S3Fifo implements PageCache {
  private static final int SMALL = 0;
  private static final int MAIN = 1;
  private static final int GHOST = 2;

  private static final double SMALL_SHARE = .10;
  private static final double GHOST_SHARE = .90;
  private static final int HITS_TO_MOVE = 2;
  private static final int MAX_HITS = 3;

  private final int capacityPages;
  private final int smallPages;
  private final int ghostPages;
  private final PageQueues queues;
  private final byte[] hits;

  /// @param capacityPages how many pages it holds; memory is taken for them and the ghosts at once
  /// @throws IllegalArgumentException if it holds none
  public S3Fifo(int capacityPages) {
    if (capacityPages < 1) {
      throw new IllegalArgumentException("no cache of " + capacityPages + " pages");
    }
    this.capacityPages = capacityPages;
    this.smallPages = Math.max(1, (int) (capacityPages * SMALL_SHARE));
    this.ghostPages = (int) (capacityPages * GHOST_SHARE);
    int slots = Math.addExact(capacityPages, ghostPages);
    this.queues = new PageQueues(3, slots);
    this.hits = new byte[slots];
  }

  @Override
  public boolean access(long page) {
    int slot = queues.find(page);
    boolean remembered = slot != PageQueues.NONE;
    if (remembered && queues.queueOf(slot) != GHOST) {
      hits[slot] = (byte) Math.min(MAX_HITS, hits[slot] + 1);
      return true;
    }
    if (remembered) {
      queues.remove(slot);
    }
    while (size() == capacityPages) {
      evict();
    }
    hits[queues.add(page, remembered ? MAIN : SMALL)] = 0;
    return false;
  }

  private void evict() {
    if (queues.size(MAIN) > capacityPages - smallPages || queues.size(SMALL) == 0) {
      evictFromMain();
    } else {
      evictFromSmall();
    }
  }

  /// Evicts nothing if all moved to the main queue.
  private void evictFromSmall() {
    while (queues.size(SMALL) > 0) {
      int slot = queues.tail(SMALL);
      if (hits[slot] < HITS_TO_MOVE) {
        forget(slot);
        return;
      }
      hits[slot] = 0;
      queues.moveToHead(slot, MAIN);
    }
  }

  private void forget(int slot) {
    if (ghostPages == 0) {
      queues.remove(slot);
      return;
    }
    if (queues.size(GHOST) == ghostPages) {
      queues.remove(queues.tail(GHOST));
    }
    queues.moveToHead(slot, GHOST);
  }

  private void evictFromMain() {
    int slot = queues.tail(MAIN);
    while (hits[slot] > 0) {
      hits[slot]--;
      queues.moveToHead(slot, MAIN);
      slot = queues.tail(MAIN);
    }
    queues.remove(slot);
  }

  int size() {
    return queues.size(SMALL) + queues.size(MAIN);
  }
}
