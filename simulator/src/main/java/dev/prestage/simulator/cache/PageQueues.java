package dev.prestage.simulator.cache;

import it.unimi.dsi.fastutil.Hash;
import it.unimi.dsi.fastutil.longs.Long2IntOpenHashMap;

/// Several queues over one table of pages: a page stands in one of them or in none.
///
/// All of it lies in arrays that are made once, so that an access allocates nothing. A page keeps
/// its slot while it moves between queues; a policy may keep arrays of its own by slot.
final class PageQueues {
  /// The slot of a page that stands in no queue.
  static final int NONE = -1;

  private final int slots;
  private final Long2IntOpenHashMap slotOf;
  private final long[] page;
  private final byte[] queue;

  // Each queue is a ring through an anchor of its own, which lies behind the slots: no end is a
  // special case.
  private final int[] towardsTail;
  private final int[] towardsHead;
  private final int[] size;

  // Slots that were given back, chained by towardsTail; those from `unused` on never held a page.
  private int free = NONE;
  private int unused;

  /// @param queues how many queues, numbered from 0
  /// @param slots how many pages can stand in all of them together
  PageQueues(int queues, int slots) {
    this.slots = slots;
    this.slotOf = new Long2IntOpenHashMap(slots, Hash.FAST_LOAD_FACTOR);
    this.slotOf.defaultReturnValue(NONE);
    this.page = new long[slots];
    this.queue = new byte[slots];
    this.towardsTail = new int[slots + queues];
    this.towardsHead = new int[slots + queues];
    this.size = new int[queues];
    for (int anchor = slots; anchor < slots + queues; anchor++) {
      towardsTail[anchor] = anchor;
      towardsHead[anchor] = anchor;
    }
  }

  /// The slot of a page, or [#NONE].
  int find(long page) {
    return slotOf.get(page);
  }

  /// The queue of a slot that holds a page.
  int queueOf(int slot) {
    return queue[slot];
  }

  /// The number of pages in a queue.
  int size(int queue) {
    return size[queue];
  }

  /// The slot of the page at the tail of a queue that is not empty.
  int tail(int queue) {
    return towardsHead[slots + queue];
  }

  /// Puts a page that stands in no queue at the head of one.
  ///
  /// @return its slot
  int add(long page, int queue) {
    int slot = free;
    if (slot == NONE) {
      slot = unused++;
    } else {
      free = towardsTail[slot];
    }
    this.page[slot] = page;
    slotOf.put(page, slot);
    link(slot, queue);
    return slot;
  }

  /// Moves the page of a slot to the head of a queue, which may be its own.
  void moveToHead(int slot, int queue) {
    unlink(slot);
    link(slot, queue);
  }

  /// Removes the page of a slot.
  void remove(int slot) {
    unlink(slot);
    slotOf.remove(page[slot]);
    towardsTail[slot] = free;
    free = slot;
  }

  private void link(int slot, int queue) {
    int anchor = slots + queue;
    int head = towardsTail[anchor];
    towardsTail[slot] = head;
    towardsHead[slot] = anchor;
    towardsHead[head] = slot;
    towardsTail[anchor] = slot;
    this.queue[slot] = (byte) queue;
    size[queue]++;
  }

  private void unlink(int slot) {
    towardsTail[towardsHead[slot]] = towardsTail[slot];
    towardsHead[towardsTail[slot]] = towardsHead[slot];
    size[queue[slot]]--;
  }
}
