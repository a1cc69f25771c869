package dev.prestage.simulator.cache;

/// Evicts the page that was not demanded for the longest time (Mattson et al., "Evaluation
/// Techniques for Storage Hierarchies", IBM Systems Journal 9(2), 1970).
///
/// The row that every other one is compared with. One scan through more pages than it holds empties
/// it of all that was worth keeping.
public final class Lru implements PageCache {
  private static final int PAGES = 0;

  private final int capacityPages;
  private final PageQueues queues;

  /// @param capacityPages how many pages it holds; memory is taken for all of them at once
  /// @throws IllegalArgumentException if it holds none
  public Lru(int capacityPages) {
    if (capacityPages < 1) {
      throw new IllegalArgumentException("no cache of " + capacityPages + " pages");
    }
    this.capacityPages = capacityPages;
    this.queues = new PageQueues(1, capacityPages);
  }

  @Override
  public boolean access(long page) {
    int slot = queues.find(page);
    if (slot != PageQueues.NONE) {
      queues.moveToHead(slot, PAGES);
      return true;
    }
    if (size() == capacityPages) {
      queues.remove(queues.tail(PAGES));
    }
    queues.add(page, PAGES);
    return false;
  }

  int size() {
    return queues.size(PAGES);
  }
}
