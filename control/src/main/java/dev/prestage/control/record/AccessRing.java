package dev.prestage.control.record;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.resource.Binding;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;

/// A bounded queue of accesses for many producers and one consumer, without locks; what waits in it
/// is nothing to the garbage collector. Dmitry Vyukov's bounded queue. Each slot carries a sequence
/// number; a producer may fill slot `p` when its number is `p`, the consumer may empty it when it
/// is `p + 1`.
final class AccessRing {
  private final int mask;
  private final AtomicLongArray sequences;
  private final AccessColumns accesses;
  private final AtomicLong tail = new AtomicLong();
  private long head;

  AccessRing(int capacity) {
    if (capacity < 2 || Integer.bitCount(capacity) != 1) {
      throw new IllegalArgumentException("capacity " + capacity + " is not a power of two");
    }
    this.mask = capacity - 1;
    this.sequences = new AtomicLongArray(capacity);
    this.accesses = new AccessColumns(capacity);
    for (int i = 0; i < capacity; i++) {
      sequences.set(i, i);
    }
  }

  /// Adds one, unless the queue is full. Never waits.
  boolean offer(Access access, Binding binding) {
    while (true) {
      long position = tail.get();
      int slot = (int) position & mask;
      long difference = sequences.getAcquire(slot) - position;
      if (difference < 0) {
        return false;
      }
      if (difference == 0 && tail.compareAndSet(position, position + 1)) {
        accesses.set(slot, access, binding);
        sequences.setRelease(slot, position + 1);
        return true;
      }
    }
  }

  /// Takes the oldest, if there is one; only the consumer's thread may call.
  boolean poll(Taker taker) {
    int slot = (int) head & mask;
    if (sequences.getAcquire(slot) != head + 1) {
      return false;
    }
    Access access = accesses.access(slot);
    Binding binding = accesses.binding(slot);
    sequences.setRelease(slot, head + mask + 1);
    head++;
    taker.take(access, binding);
    return true;
  }

  @FunctionalInterface
  interface Taker {
    void take(Access access, Binding binding);
  }
}
