package dev.prestage.simulator.cache;

/// Adaptive replacement: divides the cache between pages seen once lately and pages seen more
/// often, and learns the division from what it evicted too early (Megiddo & Modha, "ARC: A
/// Self-Tuning, Low Overhead Replacement Cache", FAST 2003, Figure 4).
///
/// A scan passes through the part for pages seen once and leaves the other alone. There is nothing
/// to tune: the paper's parameter p, the target for the part seen once, starts at 0 and moves with
/// each demand for a page that is remembered as evicted, of which there are as many as pages here.
///
/// All cases are the paper's. It leaves open whether p is a whole number; here it is a fraction, as
/// in libCacheSim: rounded steps miss up to .002 more on the ARC paper's own traces P3 and P6.
public final class Arc implements PageCache {
  private static final int ONCE = 0;
  private static final int OFTEN = 1;
  private static final int EVICTED_ONCE = 2;
  private static final int EVICTED_OFTEN = 3;

  private final int capacityPages;
  private final PageQueues queues;
  private double onceTarget;

  /// @param capacityPages how many pages it holds; memory is taken for twice as many at once
  /// @throws IllegalArgumentException if it holds none
  public Arc(int capacityPages) {
    if (capacityPages < 1) {
      throw new IllegalArgumentException("no cache of " + capacityPages + " pages");
    }
    this.capacityPages = capacityPages;
    this.queues = new PageQueues(4, Math.multiplyExact(2, capacityPages));
  }

  @Override
  public boolean access(long page) {
    int slot = queues.find(page);
    if (slot == PageQueues.NONE) {
      makeRoom();
      queues.add(page, ONCE);
      return false;
    }
    int queue = queues.queueOf(slot);
    if (queue == EVICTED_ONCE) {
      double step = Math.max(1, (double) queues.size(EVICTED_OFTEN) / queues.size(EVICTED_ONCE));
      onceTarget = Math.min(capacityPages, onceTarget + step);
      evict(false);
    } else if (queue == EVICTED_OFTEN) {
      double step = Math.max(1, (double) queues.size(EVICTED_ONCE) / queues.size(EVICTED_OFTEN));
      onceTarget = Math.max(0, onceTarget - step);
      evict(true);
    }
    queues.moveToHead(slot, OFTEN);
    return queue == ONCE || queue == OFTEN;
  }

  /// The paper's case IV: a page that is neither here nor remembered.
  private void makeRoom() {
    if (size() < capacityPages) {
      return;
    }
    if (queues.size(ONCE) == capacityPages) {
      queues.remove(queues.tail(ONCE));
      return;
    }
    if (queues.size(ONCE) + queues.size(EVICTED_ONCE) == capacityPages) {
      queues.remove(queues.tail(EVICTED_ONCE));
    } else if (size() + queues.size(EVICTED_ONCE) + queues.size(EVICTED_OFTEN)
        == 2 * capacityPages) {
      queues.remove(queues.tail(EVICTED_OFTEN));
    }
    evict(false);
  }

  /// The paper's REPLACE.
  ///
  /// @param forEvictedOften whether the page to come in was evicted from the pages seen often
  private void evict(boolean forEvictedOften) {
    int once = queues.size(ONCE);
    if (once > 0 && (once > onceTarget || (forEvictedOften && once == onceTarget))) {
      queues.moveToHead(queues.tail(ONCE), EVICTED_ONCE);
    } else {
      queues.moveToHead(queues.tail(OFTEN), EVICTED_OFTEN);
    }
  }

  int size() {
    return queues.size(ONCE) + queues.size(OFTEN);
  }
}
