package dev.prestage.dataplane.block;

import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.engine.time.Clock;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// The one lock of a [BlockStager], and what must happen whenever it is taken or let go.
///
/// It is held for a few memory accesses and never across I/O, a callback or a wait. The hit path
/// does not wait for it: the first demand for a staged extent clears a bit and leaves a claim,
/// which whoever has the lock works off before letting go; if nobody has it, that is the same
/// thread.
final class StagerLock {
  private final ReentrantLock lock = new ReentrantLock();
  private final Queue<Claim> claims = new ConcurrentLinkedQueue<>();
  private final LeaseBook book;
  private final Doorbell doorbell;
  private volatile boolean news;

  StagerLock(Clock clock, Doorbell doorbell) {
    this.book = new LeaseBook(clock);
    this.doorbell = doorbell;
  }

  /// The first demand for an extent that was staged.
  private record Claim(BlockSpace space, int extent, long nanos) {}

  /// The account of leases; for whoever has the lock.
  LeaseBook book() {
    return book;
  }

  Condition newCondition() {
    return lock.newCondition();
  }

  void enter() {
    lock.lock();
    workOffClaims();
  }

  void leave() {
    unlock();
    combine();
  }

  /// Somebody demanded a staged extent for the first time, and has cleared its pin. Never waits.
  void claim(BlockSpace space, int extent, long nanos) {
    claims.add(new Claim(space, extent, nanos));
    combine();
  }

  /// There is something else than a lease to tell the control plane; for whoever has the lock.
  void setNews() {
    news = true;
  }

  /// What there was to tell is being told; for whoever has the lock.
  void clearNews() {
    news = false;
  }

  /// Whether there is something to tell. Asked regularly, this also works off a claim that was left
  /// just when the lock's holder went to sleep on a condition.
  boolean hasNews() {
    combine();
    return news;
  }

  private void unlock() {
    news |= book.hasChanges();
    boolean tells = news;
    lock.unlock();
    if (tells) {
      doorbell.ring();
    }
  }

  /// Works claims off unless somebody has the lock; that one does it when leaving.
  private void combine() {
    while (!claims.isEmpty() && lock.tryLock()) {
      try {
        workOffClaims();
      } finally {
        unlock();
      }
    }
  }

  private void workOffClaims() {
    for (Claim claim = claims.poll(); claim != null; claim = claims.poll()) {
      book.use(claim.space, claim.extent, claim.nanos);
    }
  }
}
