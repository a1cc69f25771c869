package dev.prestage.engine.allocate;

import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/// A VM, a program or a tenant, with what its live leases hold. What a VM holds its program holds,
/// and the tenant whose program that is.
final class Holder {
  private final Object key;
  private final @Nullable Holder above;
  private final long quotaBytes;
  private int users;
  private long heldBytes;
  private long inFlightParts;

  /// @param key what it is: equal for the same VM, program or tenant, and for nothing else
  /// @param above whom it belongs to; null for a tenant
  /// @param quotaBytes how many bytes it may hold
  Holder(Object key, @Nullable Holder above, long quotaBytes) {
    this.key = key;
    this.above = above;
    this.quotaBytes = quotaBytes;
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
      each.heldBytes += bytes;
      each.inFlightParts += parts;
    }
  }

  /// Units of a lease landed or ended.
  void give(long bytes, long parts) {
    for (Holder each = this; each != null; each = each.above) {
      if (each.heldBytes < bytes || each.inFlightParts < parts) {
        throw new IllegalStateException(each.key + " gave more than it held");
      }
    }
    take(-bytes, -parts);
  }

  /// Bytes that its live leases hold.
  long heldBytes() {
    return heldBytes;
  }

  /// Parts of the room in flight that they take.
  long inFlightParts() {
    return inFlightParts;
  }

  /// How many bytes more its quotas allow. Leases that outlived a control plane may be beyond them.
  long freeBytes() {
    long free = Long.MAX_VALUE;
    for (Holder each = this; each != null; each = each.above) {
      free = Math.min(free, each.quotaBytes - each.heldBytes);
    }
    return Math.max(0, free);
  }

  /// Whose turn it is when there is not enough for two VMs: the tenant that holds fewer bytes, then
  /// the program, then the VM.
  ///
  /// @return negative if it is this one's
  int compareHeld(Holder other) {
    return compare(other, holder -> holder.heldBytes);
  }

  /// The same by what is in flight.
  int compareInFlight(Holder other) {
    return compare(other, holder -> holder.inFlightParts);
  }

  private int compare(Holder other, ToLongFunction<Holder> share) {
    Holder top = above;
    Holder otherTop = other.above;
    int higher =
        top == null || otherTop == null || top == otherTop ? 0 : top.compare(otherTop, share);
    return higher != 0 ? higher : Long.compare(share.applyAsLong(this), share.applyAsLong(other));
  }
}
