package dev.prestage.dataplane.block;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import org.jspecify.annotations.Nullable;

/// A lease that has not ended. Bit `i` of each word is extent `first + i`. Each extent is in
/// exactly one of `queued`, `joined`, `inFlight`, ready without an outcome, or one outcome. Guarded
/// by the [BlockStager]'s lock.
final class LiveLease implements Comparable<LiveLease> {
  final Lease lease;

  /// Null if the space is not attached; everything has failed then.
  final @Nullable BlockSpace space;

  /// Waits for its turn.
  long queued;

  /// Waits for what another lease has queued or in flight.
  long joined;

  /// Is being fetched for this lease.
  long inFlight;

  long ready;
  long useful;
  long late;
  long unused;
  long redundant;
  long failed;
  long cancelled;
  long leadNanos;

  /// Whether it is in its origin's staging queue.
  boolean inQueue;

  private final long[] readyAtNanos;

  LiveLease(Lease lease, @Nullable BlockSpace space) {
    this.lease = lease;
    this.space = space;
    this.readyAtNanos = new long[lease.units()];
  }

  /// The bit of an extent of the space.
  long bit(int extent) {
    return 1L << (extent - lease.first());
  }

  int extent(int index) {
    return (int) lease.first() + index;
  }

  void becomeReady(int extent, long nowNanos) {
    ready |= bit(extent);
    readyAtNanos[(int) (extent - lease.first())] = nowNanos;
  }

  void becomeUseful(int extent, long nowNanos) {
    useful |= bit(extent);
    leadNanos += Math.max(0, nowNanos - readyAtNanos[(int) (extent - lease.first())]);
  }

  /// Takes bits out of whatever waiting state they are in.
  void stopWaiting(long bits) {
    queued &= ~bits;
    joined &= ~bits;
    inFlight &= ~bits;
  }

  /// What has not become ready or ended.
  long waiting() {
    return queued | joined | inFlight;
  }

  /// What is ready and has no outcome.
  long idle() {
    return ready & ~ended();
  }

  long ended() {
    return useful | late | unused | redundant | failed | cancelled;
  }

  boolean hasEnded() {
    return ended() == lease.mask();
  }

  LeaseState state() {
    return new LeaseState(
        lease.id(), ready, useful, late, unused, redundant, failed, cancelled, leadNanos);
  }

  /// Fails loudly rather than give a wrong account.
  void check() {
    long waiting = waiting();
    int sum =
        Long.bitCount(queued)
            + Long.bitCount(joined)
            + Long.bitCount(inFlight)
            + Long.bitCount(idle())
            + Long.bitCount(ended());
    if (sum != lease.units()
        || (waiting | idle() | ended()) != lease.mask()
        || !state().isConsistent()) {
      throw new IllegalStateException(
          "lease does not add up: %s waiting %x (queued %x joined %x flying %x)"
              .formatted(state(), waiting, queued, joined, inFlight));
    }
  }

  @Override
  public int compareTo(LiveLease other) {
    int order = Long.compare(lease.dueNanos(), other.lease.dueNanos());
    return order != 0 ? order : Long.compare(lease.id(), other.lease.id());
  }
}
