package dev.prestage.dataplane.bandwidth;

import dev.prestage.dataplane.edge.Edge;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.stage.Stager;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedSet;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// The account of leases on links: each unit is a level that is promised, and ends exactly once.
/// Promising takes no time, so nothing is ever on its way.
final class Leases implements Stager {
  private final ReentrantLock lock;
  private final Host host;
  private final Map<Integer, Metered> bindings = new HashMap<>();
  private final Map<Long, Live> leases = new LinkedHashMap<>();
  private final SequencedSet<Live> changed = new LinkedHashSet<>();

  /// @param lock guards this; methods that say so need it held
  Leases(ReentrantLock lock, Host host) {
    this.lock = lock;
    this.host = host;
  }

  enum Ending {
    USEFUL,
    LATE,
    UNUSED,
    REDUNDANT,
    FAILED
  }

  /// One unit of a lease.
  record Unit(Live live, int index) {
    int level() {
      return (int) live.lease.first() + index;
    }

    long bit() {
      return 1L << index;
    }
  }

  /// A lease that has not ended.
  static final class Live {
    final Lease lease;
    private final long readyNanos;
    private final Map<Ending, Long> ended = new EnumMap<>(Ending.class);
    private long ready;
    private long leadNanos;

    Live(Lease lease, long readyNanos) {
      this.lease = lease;
      this.readyNanos = readyNanos;
    }

    private long ended(Ending how) {
      return ended.getOrDefault(how, 0L);
    }

    LeaseState state() {
      return new LeaseState(
          lease.id(),
          ready,
          ended(Ending.USEFUL),
          ended(Ending.LATE),
          ended(Ending.UNUSED),
          ended(Ending.REDUNDANT),
          ended(Ending.FAILED),
          0,
          leadNanos);
    }

    /// Its units that wait for their demand.
    private List<Unit> waiting() {
      List<Unit> waiting = new ArrayList<>();
      for (long left = ready & ~state().ended(); left != 0; left &= left - 1) {
        waiting.add(new Unit(this, Long.numberOfTrailingZeros(left)));
      }
      return waiting;
    }
  }

  // ---- with the lock held

  void add(Metered binding) {
    bindings.put(binding.binding(), binding);
  }

  /// A binding goes, or gets other numbers: its leases end.
  void remove(Metered binding) {
    if (bindings.remove(binding.binding(), binding)) {
      leasesOf(live -> live.lease.binding() == binding.binding())
          .forEach(live -> giveBack(live, binding));
      binding.clear();
    }
  }

  private List<Live> leasesOf(Predicate<Live> which) {
    return leases.values().stream().filter(which).toList();
  }

  /// The demand of a unit has come.
  void useful(Unit unit, long nowNanos) {
    unit.live.leadNanos += Math.max(0, nowNanos - unit.live.readyNanos);
    end(unit, Ending.USEFUL);
  }

  private void end(Unit unit, Ending how) {
    Live live = unit.live;
    if ((live.state().ended() & unit.bit()) != 0) {
      throw new IllegalStateException(
          "unit " + unit.index + " of lease " + live.lease.id() + " ends twice");
    }
    live.ended.merge(how, unit.bit(), (before, bit) -> before | bit);
    changed(live);
  }

  private void changed(Live live) {
    changed.add(live);
    if (live.state().ended() == live.lease.mask()) {
      leases.remove(live.lease.id());
    }
    host.doorbell().ring();
  }

  private void giveBack(Live live, @Nullable Metered binding) {
    for (Unit unit : live.waiting()) {
      if (binding != null) {
        binding.giveBack(unit);
      }
      end(unit, Ending.UNUSED);
    }
  }

  // ---- orders

  @Override
  public void stage(Lease lease) {
    lock.lock();
    try {
      if (leases.containsKey(lease.id())) {
        return;
      }
      Live live = new Live(lease, host.clock().nanos());
      leases.put(lease.id(), live);
      Metered binding = bindings.get(lease.binding());
      boolean known = binding != null && binding.space() == lease.space();
      for (int index = 0; index < lease.units(); index++) {
        Unit unit = new Unit(live, index);
        Ending ending = binding != null && known ? binding.stage(unit) : Ending.FAILED;
        if (ending == null) {
          live.ready |= unit.bit();
          changed(live);
        } else {
          end(unit, ending);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /// Nothing is on its way.
  @Override
  public void cancel(long leaseId) {
    // Nothing to call off.
  }

  @Override
  public void reclaim(long leaseId) {
    lock.lock();
    try {
      Live live = leases.get(leaseId);
      if (live != null) {
        giveBack(live, bindings.get(live.lease.binding()));
      }
    } finally {
      lock.unlock();
    }
  }

  /// Gives back what waits of leases whose time is over.
  void giveBackExpired(long nowNanos) {
    lock.lock();
    try {
      for (Live live : leasesOf(live -> live.lease.untilNanos() < nowNanos)) {
        giveBack(live, bindings.get(live.lease.binding()));
      }
    } finally {
      lock.unlock();
    }
  }

  // ---- reports

  boolean hasNews() {
    lock.lock();
    try {
      return !changed.isEmpty();
    } finally {
      lock.unlock();
    }
  }

  void takeNews(Edge.News to) {
    List<LeaseState> states;
    lock.lock();
    try {
      states = changed.stream().map(Live::state).toList();
      changed.clear();
    } finally {
      lock.unlock();
    }
    to.changed(states);
  }

  List<Edge.Held> takeHeld() {
    lock.lock();
    try {
      SequencedSet<Live> held = new LinkedHashSet<>(changed);
      held.addAll(leases.values());
      changed.clear();
      return held.stream().map(live -> new Edge.Held(live.lease, live.state())).toList();
    } finally {
      lock.unlock();
    }
  }
}
