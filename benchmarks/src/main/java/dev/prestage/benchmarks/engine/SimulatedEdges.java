package dev.prestage.benchmarks.engine;

import dev.prestage.engine.Engine;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.stage.Stager;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/// The data plane of a simulated host: a tier that fills up, origins, and every way in which a
/// stager may misbehave. It also keeps what the engine must believe by now, which is all that was
/// delivered to it.
///
/// A lease that is refused fails at once, one that stalls never moves until it is called off, one
/// that fails loses some of its units. Reports come late, twice and out of order, and are lost with
/// the connection.
final class SimulatedEdges implements Stager {
  private static final long MILLI = 1_000_000;
  private static final long SECOND = 1000 * MILLI;

  /// In a hundred leases.
  private static final int REFUSED = 3;

  private static final int STALLED = 2;
  private static final int FAILING = 3;

  /// In a hundred reports.
  private static final int TWICE = 3;

  private static final int LATE = 2;
  private static final int MOST_LATE_SECONDS = 300;

  private final Timetable timetable;
  private final Random random;
  private final long tierBytes;
  private final Map<Integer, Binding> bindings = new HashMap<>();

  /// The first binding that each space ever had, by space.
  private final Map<Integer, Binding> firstOf = new HashMap<>();

  private final Map<Integer, BitSet> tier = new HashMap<>();

  /// What stands ready for one binding alone.
  private final Map<Integer, BitSet> promised = new HashMap<>();

  /// What the edges hold, and beside it what the engine was told: a lease leaves when both are
  /// through with it.
  private final Map<Long, Held> leases = new LinkedHashMap<>();

  /// Units that the engine must take for leased, each with its lease.
  private final Map<Long, Long> claimed = new HashMap<>();

  private long usedBytes;
  private long claimedBytes;
  private int connection;
  private boolean linked;
  private boolean faulty = true;
  private @Nullable Engine engine;

  /// When something happens, in time that never steps.
  interface Timetable {
    void after(long nanos, Runnable what);
  }

  private static final class Held {
    final Lease lease;
    final Binding binding;
    LeaseState state;

    /// The units that ended as far as the engine was told.
    long told;

    /// Whether the data plane that took it is still there.
    boolean here = true;

    Held(Lease lease, Binding binding) {
      this.lease = lease;
      this.binding = binding;
      this.state = LeaseState.granted(lease.id());
    }

    long live() {
      return here ? lease.mask() & ~state.ended() : 0;
    }

    long open() {
      return live() & ~state.ready();
    }

    long idle() {
      return live() & state.ready();
    }

    long bit(long index) {
      long place = index - lease.first();
      return place < 0 || place >= lease.units() ? 0 : 1L << place;
    }

    Space space() {
      return binding.space();
    }
  }

  SimulatedEdges(Timetable timetable, Random random, long tierBytes) {
    this.timetable = timetable;
    this.random = random;
    this.tierBytes = tierBytes;
  }

  // ---- what the host says of the engine

  void bound(Binding binding) {
    bindings.put(binding.id(), binding);
    firstOf.putIfAbsent(binding.space().id(), binding);
    tier.computeIfAbsent(binding.space().id(), _ -> new BitSet());
  }

  /// From now on stagers and reports do what they should.
  void heal() {
    faulty = false;
  }

  boolean isLinked() {
    return linked;
  }

  void disconnect(Engine from) {
    linked = false;
    connection++;
    from.disconnected();
  }

  /// Connects the engine, which hears of each lease that is held.
  ///
  /// @param sameStager whether the data plane is the one that was connected before
  /// @param sameEngine whether the engine is the one that was
  void connect(Engine to, boolean sameStager, boolean sameEngine) {
    engine = to;
    connection++;
    if (!sameStager) {
      leases.values().forEach(held -> held.here = false);
      promised.clear();
    }
    to.reconnected(sameStager && sameEngine);
    for (Held held : List.copyOf(leases.values())) {
      if (held.live() == 0) {
        // It ended while nobody listened, or with its data plane.
        tell(held, held.lease.mask());
      }
    }
    if (!sameEngine) {
      claimed.clear();
      claimedBytes = 0;
      leases
          .values()
          .forEach(held -> {
            // A VM that went meanwhile is unknown to a new engine, which asks its leases back.
            boolean known = bindings.containsKey(held.lease.binding());
            held.told = known ? held.state.ended() : held.lease.mask();
            claim(held, known ? held.live() : 0);
          });
    }
    linked = true;
    for (Held held : List.copyOf(leases.values())) {
      to.held(held.lease, held.state);
      tell(held, held.state.ended());
    }
    tier.forEach(to::resident);
    to.confirmed();
  }

  // ---- what the engine must believe

  /// Bytes of the units that the engine must take for live.
  long claimedBytes() {
    return claimedBytes;
  }

  /// How many units the engine must take for live.
  long claimedUnits() {
    return claimed.size();
  }

  /// How many units the edges hold for live leases.
  long heldUnits() {
    return leases.values().stream().mapToLong(held -> Long.bitCount(held.live())).sum();
  }

  long usedBytes() {
    return usedBytes;
  }

  long tierBytes() {
    return tierBytes;
  }

  private static long key(Binding binding, long index) {
    // Bindings stand above spaces.
    int place = binding.space().shape().isOwn() ? (1 << 22) + binding.id() : binding.space().id();
    return Resource.of(place, index);
  }

  private void claim(Held held, long units) {
    each(
        held,
        units,
        index -> {
          Long other = claimed.put(key(held.binding, index), held.lease.id());
          if (other != null) {
            throw new IllegalStateException(
                "unit %d of %s is in lease %d and in %d"
                    .formatted(index, held.space().name(), other, held.lease.id()));
          }
        });
    claimedBytes += Long.bitCount(units) * held.space().shape().contentAmount();
  }

  private void tell(Held held, long ended) {
    long news = ended & held.lease.mask() & ~held.told;
    held.told |= news;
    each(held, news, index -> claimed.remove(key(held.binding, index), held.lease.id()));
    claimedBytes -= Long.bitCount(news) * held.space().shape().contentAmount();
    if (held.told == held.lease.mask()) {
      leases.remove(held.lease.id());
    }
  }

  private @Nullable Held claimant(Binding binding, long index) {
    Long lease = claimed.get(key(binding, index));
    return lease == null ? null : leases.get(lease);
  }

  private interface Index {
    void accept(long index);
  }

  private static void each(Held held, long units, Index to) {
    for (long left = units; left != 0; left &= left - 1) {
      to.accept(held.lease.first() + Long.numberOfTrailingZeros(left));
    }
  }

  // ---- what the engine asks for

  @Override
  public void stage(Lease lease) {
    Binding binding = bindings.get(lease.binding());
    if (!linked || binding == null || leases.containsKey(lease.id())) {
      throw new IllegalStateException("lease " + lease.id() + " cannot be granted now");
    }
    if (binding.space().id() != lease.space() || lease.range().end() > binding.space().units()) {
      throw new IllegalStateException("lease " + lease.id() + " is not of its space");
    }
    Held held = new Held(lease, binding);
    leases.put(lease.id(), held);
    claim(held, lease.mask());
    int fate = faulty ? random.nextInt(100) : 100;
    if (fate < REFUSED) {
      timetable.after(1, () -> change(held, held.open(), Change.FAILED));
    } else if (fate >= REFUSED + STALLED) {
      boolean failing = fate < REFUSED + STALLED + FAILING;
      move(held, lease.mask(), failing);
    }
  }

  /// Units come in one or two parts.
  private void move(Held held, long units, boolean failing) {
    long first = random.nextBoolean() ? units : units & random.nextLong();
    long lost = failing ? first & random.nextLong() : 0;
    timetable.after(
        (10 + random.nextInt(40)) * MILLI,
        () -> {
          change(held, lost, Change.FAILED);
          arrive(held, first & ~lost);
        });
    if (first != units) {
      timetable.after((50 + random.nextInt(200)) * MILLI, () -> arrive(held, units & ~first));
    }
  }

  @Override
  public void cancel(long leaseId) {
    Held held = leases.get(leaseId);
    if (linked && held != null) {
      change(held, held.open(), Change.CANCELLED);
    }
  }

  @Override
  public void reclaim(long leaseId) {
    Held held = leases.get(leaseId);
    if (linked && held != null) {
      long delay = faulty && random.nextInt(10) == 0 ? 30 * SECOND : MILLI;
      timetable.after(
          delay,
          () -> {
            long idle = held.idle();
            each(held, idle, index -> leave(held.binding, index));
            change(held, idle, Change.UNUSED);
            change(held, held.open(), Change.CANCELLED);
          });
    }
  }

  // ---- what becomes of leases

  private enum Change {
    READY,
    USEFUL,
    LATE,
    UNUSED,
    REDUNDANT,
    FAILED,
    CANCELLED,
    UNOBSERVED
  }

  private void change(Held held, long wanted, Change how) {
    long units = wanted & held.live();
    if (units == 0) {
      return;
    }
    LeaseState was = held.state;
    held.state =
        new LeaseState(
            was.leaseId(),
            was.ready() | (how == Change.READY ? units : 0),
            was.useful() | (how == Change.USEFUL ? units : 0),
            was.late() | (how == Change.LATE ? units : 0),
            was.unused() | (how == Change.UNUSED ? units : 0),
            was.redundant() | (how == Change.REDUNDANT ? units : 0),
            was.failed() | (how == Change.FAILED ? units : 0),
            was.cancelled() | (how == Change.CANCELLED ? units : 0),
            was.unobserved() | (how == Change.UNOBSERVED ? units : 0),
            was.leadNanos() + (how == Change.USEFUL ? Long.bitCount(units) * MILLI : 0));
    report(held);
  }

  private void report(Held held) {
    LeaseState state = held.state;
    int fate = faulty ? random.nextInt(100) : 100;
    long soon = (1 + random.nextInt(5)) * MILLI;
    long late = (1 + random.nextInt(MOST_LATE_SECONDS)) * SECOND;
    deliver(held, state, fate < LATE ? late : soon);
    if (fate >= 100 - TWICE) {
      deliver(held, state, late);
    }
  }

  private void deliver(Held held, LeaseState state, long afterNanos) {
    int over = connection;
    timetable.after(
        afterNanos,
        () -> {
          Engine hears = engine;
          if (linked && over == connection && hears != null) {
            hears.reported(state);
            tell(held, state.ended());
          }
        });
  }

  private BitSet place(Binding binding) {
    return binding.space().shape().isOwn()
        ? promised.computeIfAbsent(binding.id(), _ -> new BitSet())
        : tier.computeIfAbsent(binding.space().id(), _ -> new BitSet());
  }

  private void arrive(Held held, long units) {
    long come = units & held.open();
    BitSet place = place(held.binding);
    long ready = 0;
    long redundant = 0;
    long failed = 0;
    for (long left = come; left != 0; left &= left - 1) {
      long bit = left & -left;
      int index = (int) held.lease.first() + Long.numberOfTrailingZeros(left);
      if (place.get(index)) {
        redundant |= bit;
      } else if (makeRoom(held.space())) {
        enter(held.binding, index);
        ready |= bit;
      } else {
        failed |= bit;
      }
    }
    change(held, redundant, Change.REDUNDANT);
    change(held, failed, Change.FAILED);
    change(held, ready, Change.READY);
    if (held.space().type() == ResourceType.MEMORY_PAGE) {
      change(held, ready, Change.UNOBSERVED);
    }
  }

  private void enter(Binding binding, int index) {
    BitSet place = place(binding);
    if (!place.get(index)) {
      place.set(index);
      usedBytes += binding.space().shape().contentAmount();
    }
  }

  private void leave(Binding binding, long index) {
    BitSet place = place(binding);
    if (place.get((int) index)) {
      place.clear((int) index);
      usedBytes -= binding.space().shape().contentAmount();
    }
  }

  /// A full tier gives up any unit, leased or not, and now and then none.
  private boolean makeRoom(Space space) {
    long amount = space.shape().contentAmount();
    for (int tries = 0; usedBytes + amount > tierBytes; tries++) {
      if (tries == 64 || (faulty && random.nextInt(50) == 0)) {
        return false;
      }
      evictOne();
    }
    return true;
  }

  private void evictOne() {
    List<Integer> filled = new ArrayList<>();
    tier.forEach((space, units) -> {
      if (!units.isEmpty()) {
        filled.add(space);
      }
    });
    int space = filled.get(random.nextInt(filled.size()));
    BitSet units = tier.getOrDefault(space, new BitSet());
    int index = units.nextSetBit(random.nextInt(units.length()));
    Binding binding = firstOf.get(space);
    if (binding == null) {
      throw new IllegalStateException("nothing was ever bound to space " + space);
    }
    leave(binding, index);
    Held held = claimant(binding, index);
    if (held != null) {
      change(held, held.idle() & held.bit(index), Change.UNUSED);
    }
    Engine hears = engine;
    if (linked && hears != null) {
      hears.evicted(space, index, 1);
    }
  }

  // ---- what guests do

  /// Whether what a guest asks for stands ready for it.
  boolean isReady(Binding binding, long index) {
    return place(binding).get((int) index);
  }

  /// A guest asked for a unit; what is not here comes by demand.
  void demanded(Binding binding, long index) {
    Held held = claimant(binding, index);
    if (held != null) {
      long bit = held.bit(index);
      change(held, held.idle() & bit, Change.USEFUL);
      change(held, held.open() & bit, Change.LATE);
    }
    if (!isReady(binding, index) && makeRoom(binding.space())) {
      enter(binding, (int) index);
    }
  }

  /// A guest gave a level up, and it does not stay.
  void released(Binding binding, long index) {
    leave(binding, index);
    Held held = claimant(binding, index);
    if (held != null) {
      change(held, held.idle() & held.bit(index), Change.UNUSED);
    }
  }

  /// A VM is gone: what stood ready for it alone, and what waits for it, ends.
  void unbound(Binding binding) {
    for (Held held : List.copyOf(leases.values())) {
      if (held.binding.equals(binding) && binding.space().shape().isOwn()) {
        long idle = held.idle();
        each(held, idle, index -> leave(binding, index));
        change(held, idle, Change.UNUSED);
      }
    }
    promised.remove(binding.id());
    bindings.remove(binding.id());
  }
}
