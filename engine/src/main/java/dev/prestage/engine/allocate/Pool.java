package dev.prestage.engine.allocate;

/// A hard capacity. What is reserved is never more than there is.
final class Pool {
  private final long capacity;
  private long reserved;

  Pool(long capacity) {
    this.capacity = capacity;
  }

  /// Takes `amount`, which must be free.
  void reserve(long amount) {
    if (amount > free()) {
      throw new IllegalStateException("reserved " + amount + " of " + free());
    }
    reserved += amount;
  }

  /// Takes what is held already, even beyond the capacity: leases that outlived a control plane.
  void adopt(long amount) {
    reserved += amount;
  }

  void release(long amount) {
    if (amount > reserved) {
      throw new IllegalStateException("released " + amount + " of " + reserved);
    }
    reserved -= amount;
  }

  long reserved() {
    return reserved;
  }

  long free() {
    return Math.max(0, capacity - reserved);
  }
}
