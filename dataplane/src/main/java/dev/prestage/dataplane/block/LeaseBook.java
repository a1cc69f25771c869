package dev.prestage.dataplane.block;

import dev.prestage.dataplane.edge.Edge;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.time.Clock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedSet;
import org.jspecify.annotations.Nullable;

/// The account of leases: what each still waits for, what is ready, and how each extent ended. It
/// moves nothing itself. Guarded by the [BlockStager]'s lock.
///
/// An extent has at most one lease that owns its staging (it has it queued, in flight, or ready and
/// unused); others that want it meanwhile have joined, and end as redundant when it lands or take
/// over when the owner is called off.
final class LeaseBook {
  private final Clock clock;
  private final Map<Long, LiveLease> leases = new HashMap<>();
  private final SequencedSet<LiveLease> changed = new LinkedHashSet<>();

  LeaseBook(Clock clock) {
    this.clock = clock;
  }

  /// Enters a lease; null if it is known already.
  ///
  /// @param space null if it is not attached: all extents fail
  @Nullable LiveLease add(Lease lease, @Nullable BlockSpace space) {
    if (leases.containsKey(lease.id())) {
      return null;
    }
    var live = new LiveLease(lease, space);
    leases.put(lease.id(), live);
    if (space == null) {
      live.failed = lease.mask();
    } else {
      for (int i = 0; i < lease.units(); i++) {
        begin(live, space, i);
      }
      space.leases.put(new BlockSpace.Place(lease.first(), lease.id()), live);
    }
    touched(live);
    return live;
  }

  @Nullable LiveLease get(long id) {
    return leases.get(id);
  }

  private void begin(LiveLease live, BlockSpace space, int index) {
    long bit = 1L << index;
    long position = live.lease.first() + index;
    if (position >= space.extents()) {
      live.failed |= bit;
      return;
    }
    int extent = (int) position;
    Fetch flight = space.flights.get(extent);
    if (space.holds(extent)) {
      live.redundant |= bit;
    } else if (flight != null && (flight.isDemand() || flight.isDemanded(extent))) {
      live.late |= bit;
    } else if ((flight != null && flight.fills) || owner(space, extent) != null) {
      live.joined |= bit;
    } else {
      live.queued |= bit;
    }
  }

  /// The lease for which an extent is queued or in flight.
  static @Nullable LiveLease owner(BlockSpace space, int extent) {
    for (LiveLease lease : covering(space, extent)) {
      if (((lease.queued | lease.inFlight) & lease.bit(extent)) != 0) {
        return lease;
      }
    }
    return null;
  }

  private static List<LiveLease> covering(BlockSpace space, int extent) {
    List<LiveLease> found = List.of();
    var from = new BlockSpace.Place((long) extent - Lease.MAX_UNITS + 1, Long.MIN_VALUE);
    var to = new BlockSpace.Place(extent, Long.MAX_VALUE);
    for (LiveLease lease : space.leases.subMap(from, true, to, true).values()) {
      if (extent < lease.lease.first() + lease.lease.units()) {
        if (found.isEmpty()) {
          found = new ArrayList<>(2);
        }
        found.add(lease);
      }
    }
    return found;
  }

  /// Demand came before the copy: whoever was to stage the extent was late.
  void overtake(BlockSpace space, int extent) {
    for (LiveLease lease : covering(space, extent)) {
      long bit = lease.bit(extent);
      if ((lease.waiting() & bit) != 0) {
        lease.stopWaiting(bit);
        lease.late |= bit;
        touched(lease);
      }
    }
  }

  /// An extent was demanded that a lease had made ready and nobody had used.
  void use(BlockSpace space, int extent, long nowNanos) {
    for (LiveLease lease : covering(space, extent)) {
      if ((lease.idle() & lease.bit(extent)) != 0) {
        lease.becomeUseful(extent, nowNanos);
        touched(lease);
      }
    }
  }

  /// An extent that a lease had made ready and nobody had used is gone.
  void lose(BlockSpace space, int extent) {
    for (LiveLease lease : covering(space, extent)) {
      if ((lease.idle() & lease.bit(extent)) != 0) {
        lease.failed |= lease.bit(extent);
        touched(lease);
      }
    }
  }

  /// The fetch of an extent is over.
  ///
  /// @param begunFor the lease that it was begun for, or null
  /// @param kept whether the extent is in the tier
  /// @return whether a lease has it ready now, so that it must not leave
  boolean land(BlockSpace space, int extent, @Nullable LiveLease begunFor, boolean kept) {
    boolean staged = false;
    for (LiveLease lease : covering(space, extent)) {
      long bit = lease.bit(extent);
      if ((lease.waiting() & bit) != 0) {
        boolean owns = (lease.inFlight & bit) != 0;
        lease.stopWaiting(bit);
        if (!kept) {
          lease.failed |= bit;
        } else if (owns) {
          lease.becomeReady(extent, clock.nanos());
          staged = true;
        } else {
          lease.redundant |= bit;
        }
        touched(lease);
      } else if (kept && (lease.idle() & bit) != 0) {
        // It had the extent ready and nobody had used it: that copy was lost, or this fetch would
        // not have been. Who is told of the loss later must not find two leases.
        lease.failed |= bit;
        touched(lease);
      } else if (kept && lease == begunFor && (lease.late & bit) != 0) {
        lease.ready |= bit;
        touched(lease);
      }
    }
    return staged;
  }

  /// What is queued of a lease has failed.
  void failQueued(LiveLease lease) {
    long queued = lease.queued;
    lease.stopWaiting(queued);
    lease.failed |= queued;
    touched(lease);
    inheritAll(lease, queued);
  }

  /// Everything that is waiting ends as cancelled; what is in flight is not kept unless another
  /// lease or demand wants it.
  void cancelWaiting(LiveLease lease) {
    long waiting = lease.waiting();
    long owned = lease.queued | lease.inFlight;
    lease.stopWaiting(waiting);
    lease.cancelled |= waiting;
    touched(lease);
    inheritAll(lease, owned);
  }

  private static void inheritAll(LiveLease from, long owned) {
    for (long left = owned; left != 0; left &= left - 1) {
      inherit(from, from.extent(Long.numberOfTrailingZeros(left)));
    }
  }

  /// The next lease that waits for an extent becomes the one for which it is staged.
  private static void inherit(LiveLease from, int extent) {
    if (from.space != null) {
      inherit(from.space, extent);
    }
  }

  /// A fill does not bring an extent after all: a lease that has joined it stages the extent
  /// itself.
  void leaveFill(BlockSpace space, int extent) {
    inherit(space, extent);
  }

  /// Whether a lease waits for an extent.
  boolean isWanted(BlockSpace space, int extent) {
    for (LiveLease lease : covering(space, extent)) {
      if ((lease.waiting() & lease.bit(extent)) != 0) {
        return true;
      }
    }
    return false;
  }

  private static void inherit(BlockSpace space, int extent) {
    for (LiveLease heir : covering(space, extent)) {
      long bit = heir.bit(extent);
      if ((heir.joined & bit) != 0) {
        heir.joined &= ~bit;
        if (space.flights.containsKey(extent)) {
          heir.inFlight |= bit;
        } else {
          heir.queued |= bit;
          space.queue.stage(heir);
        }
        return;
      }
    }
  }

  /// Ends everything: what waits is cancelled, what is ready and unused is given back.
  ///
  /// @return the extents to remove from the tier
  List<Integer> giveBack(LiveLease lease) {
    List<Integer> unused = new ArrayList<>();
    cancelWaiting(lease);
    long idle = lease.idle();
    while (idle != 0) {
      int extent = lease.extent(Long.numberOfTrailingZeros(idle));
      idle &= idle - 1;
      // Whoever clears the bit says how the extent ended. If it is clear, a claim is under way.
      if (lease.space != null && lease.space.pinned.clear(extent)) {
        lease.unused |= lease.bit(extent);
        unused.add(extent);
      }
    }
    touched(lease);
    return unused;
  }

  private void touched(LiveLease lease) {
    lease.check();
    changed.add(lease);
    if (lease.hasEnded()) {
      leases.remove(lease.lease.id());
      if (lease.space != null) {
        lease.space.leases.remove(new BlockSpace.Place(lease.lease.first(), lease.lease.id()));
      }
    }
  }

  /// The leases whose time is over.
  List<Long> expired(long nowNanos) {
    return leases.values().stream()
        .filter(live -> live.lease.untilNanos() < nowNanos)
        .map(live -> live.lease.id())
        .toList();
  }

  boolean hasChanges() {
    return !changed.isEmpty();
  }

  /// The state of each lease that changed since the last call.
  List<LeaseState> takeChanged() {
    List<LeaseState> states = changed.stream().map(LiveLease::state).toList();
    changed.clear();
    return states;
  }

  /// All leases that are live, or have ended since the last [#takeChanged].
  List<Edge.Held> takeHeld() {
    var held = new LinkedHashSet<>(changed);
    held.addAll(leases.values());
    changed.clear();
    return held.stream().map(lease -> new Edge.Held(lease.lease, lease.state())).toList();
  }
}
