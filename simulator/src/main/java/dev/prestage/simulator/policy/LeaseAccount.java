package dev.prestage.simulator.policy;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;

/// How the pages of one lease stand on a simulated host, as a data plane would keep it.
final class LeaseAccount {
  private final Lease lease;
  private long ready;
  private long useful;
  private long late;
  private long unused;
  private long redundant;
  private long cancelled;

  LeaseAccount(Lease lease) {
    this.lease = lease;
  }

  long id() {
    return lease.id();
  }

  int binding() {
    return lease.binding();
  }

  long first() {
    return lease.first();
  }

  /// The page has come.
  void ready(long page) {
    ready |= bit(page);
  }

  /// The page was demanded, in time or not.
  void demanded(long page) {
    if ((ready & bit(page)) != 0) {
      useful |= bit(page);
    } else {
      late |= bit(page);
    }
  }

  /// The page was here before.
  void redundant(long page) {
    redundant |= bit(page);
  }

  /// The page was evicted, or given back, before any demand.
  void unused(long page) {
    unused |= bit(page);
  }

  /// The page will not be fetched.
  void cancelled(long page) {
    cancelled |= bit(page);
  }

  long live() {
    return lease.mask() & ~state().ended();
  }

  long inFlight() {
    return live() & ~ready;
  }

  boolean hasEnded() {
    return live() == 0;
  }

  LeaseState state() {
    return new LeaseState(lease.id(), ready, useful, late, unused, redundant, 0, cancelled, 0);
  }

  private long bit(long page) {
    return 1L << (page - lease.first());
  }
}
