package dev.prestage.engine.allocate;

import org.jspecify.annotations.Nullable;

/// A VM, a program or a tenant, with what its live leases hold. What a VM holds its program holds,
/// and the tenant whose program that is.
final class Holder {
  private final Object key;
  private final @Nullable Holder above;
  private final long quota;
  private int users;
  private long held;
  private long travelling;

  /// @param key what it is: equal for the same VM, program or tenant, and for nothing else
  /// @param above whom it belongs to; null for a tenant
  /// @param quota bytes
  Holder(Object key, @Nullable Holder above, long quota) {
    this.key = key;
    this.above = above;
    this.quota = quota;
  }

  Object key() {
    return key;
  }

  @Nullable Holder above() {
    return above;
  }

  /// Somebody refers to it from now on.
  void used() {
    users++;
  }

  /// Somebody refers to it no more.
  ///
  /// @return whether nobody does
  boolean unused() {
    users--;
    return users == 0;
  }

  /// A lease begins, or more of it turns out to be live.
  ///
  /// @param bytes that it holds
  /// @param parts of the room in flight that it takes
  void take(long bytes, long parts) {
    for (Holder each = this; each != null; each = each.above) {
      each.held += bytes;
      each.travelling += parts;
    }
  }

  /// Units of a lease landed or ended.
  void give(long bytes, long parts) {
    for (Holder each = this; each != null; each = each.above) {
      if (each.held < bytes || each.travelling < parts) {
        throw new IllegalStateException(each.key + " gave more than it held");
      }
    }
    take(-bytes, -parts);
  }

  /// Bytes that its live leases hold.
  long held() {
    return held;
  }

  /// Parts of the room in flight that they take.
  long travelling() {
    return travelling;
  }

  /// How many bytes more its quotas allow. Leases that outlived a control plane may be beyond them.
  long free() {
    long free = Long.MAX_VALUE;
    for (Holder each = this; each != null; each = each.above) {
      free = Math.min(free, each.quota - each.held);
    }
    return Math.max(0, free);
  }

  /// Whose turn it is when there is not enough for two VMs: that of the tenant that holds less, of
  /// two programs of one tenant that of the one that holds less, and so with VMs.
  ///
  /// @return negative if it is this one's
  int compareHeld(Holder other) {
    Holder top = above;
    Holder otherTop = other.above;
    int higher = top == null || otherTop == null || top == otherTop ? 0 : top.compareHeld(otherTop);
    return higher != 0 ? higher : Long.compare(held, other.held);
  }

  /// The same by what is on its way.
  int compareTravelling(Holder other) {
    Holder top = above;
    Holder otherTop = other.above;
    int higher =
        top == null || otherTop == null || top == otherTop ? 0 : top.compareTravelling(otherTop);
    return higher != 0 ? higher : Long.compare(travelling, other.travelling);
  }
}
