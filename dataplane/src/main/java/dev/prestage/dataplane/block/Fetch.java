package dev.prestage.dataplane.block;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A run of adjacent extents that is read from the origin in one go, for demand or for a lease. Bit
/// `i` of a word is extent `first + i`. Guarded by the [BlockStager]'s lock.
final class Fetch {
  /// 1 MiB: at 200 MB/s the wire then works 5 ms for each 10 ms of latency, and demand behind it
  /// waits no longer than that.
  static final int MAX_EXTENTS = 16;

  static final int MAX_BYTES = MAX_EXTENTS * TierFile.EXTENT_BYTES;

  final BlockSpace space;
  final int first;

  /// The lease that it was begun for, or null if for demand.
  final @Nullable LiveLease lease;

  /// How often it was tried before.
  final int attempt;

  /// How many extents; it shrinks if the tier has no room for all of them.
  int count;

  /// Extents that demand waits for or has waited for.
  int demanded;

  /// It brings what nobody asked for: demand that asks meanwhile joins it, and a lease does.
  boolean fills;

  long startedNanos;
  long retryAtNanos;
  long movedBefore;

  /// The VM that demanded it first; empty for a lease.
  String vm = "";

  /// What it counts for in what is under way.
  int bookedBytes;

  /// It had to wait for its turn while staging was under way.
  boolean behindStaging;

  /// The origin has answered: whoever joins now waits for the tier only.
  boolean arrived;

  /// It took too long: whatever it still brings is not wanted.
  boolean abandoned;

  private List<Waiter> waiters = new ArrayList<>();

  Fetch(BlockSpace space, int first, int count, @Nullable LiveLease lease, int attempt) {
    this.space = space;
    this.first = first;
    this.count = count;
    this.lease = lease;
    this.attempt = attempt;
  }

  /// A read that gets some of the extents.
  record Waiter(PendingRead read, int extents) {}

  long offset() {
    return (long) first * TierFile.EXTENT_BYTES;
  }

  int bytes() {
    return (int)
        (Math.min(offset() + (long) count * TierFile.EXTENT_BYTES, space.sizeBytes()) - offset());
  }

  void join(PendingRead read, int extent) {
    int bit = 1 << (extent - first);
    demanded |= bit;
    if (!waiters.isEmpty() && waiters.getLast().read().equals(read)) {
      bit |= waiters.removeLast().extents();
    }
    waiters.add(new Waiter(read, bit));
  }

  void join(Waiter waiter) {
    demanded |= waiter.extents();
    waiters.add(waiter);
  }

  /// The waiters so far; later ones are asked for again.
  List<Waiter> takeWaiters() {
    List<Waiter> taken = waiters;
    waiters = new ArrayList<>();
    return taken;
  }

  /// Forgets waiters that gave up; tells whether any is left.
  boolean isAwaited() {
    waiters.removeIf(waiter -> waiter.read().isDone());
    return !waiters.isEmpty();
  }

  boolean isDemanded(int extent) {
    return (demanded & (1 << (extent - first))) != 0;
  }

  /// Whether a guest waits for it, so that it goes before all else.
  boolean isDemand() {
    return lease == null && !fills;
  }

  /// Bits of all its extents.
  int mask() {
    return (1 << count) - 1;
  }
}
