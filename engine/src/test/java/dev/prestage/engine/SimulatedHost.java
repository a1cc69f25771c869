package dev.prestage.engine;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.Models;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.stage.Notice;
import dev.prestage.engine.stage.Stager;
import dev.prestage.engine.time.SimulatedClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;

/// A host in simulated time: a tier, an origin 10 ms away that 32 staging fetches may ask at once,
/// demand that overtakes, and reports that take a millisecond to come to the engine.
final class SimulatedHost implements Stager, Models {
  private static final long FETCH_NANOS = 10_000_000;
  private static final long REPORT_NANOS = 1_000_000;
  private static final long TICK_NANOS = 100_000_000;
  private static final int FETCHES = 32;

  final SimulatedClock clock = new SimulatedClock();
  final List<Notice> notices = new ArrayList<>();
  final List<Lease> staged = new ArrayList<>();
  final List<Long> cancelled = new ArrayList<>();
  private final Map<Program, HybridForecaster> learnt = new HashMap<>();
  final Set<Long> resident = new HashSet<>();
  final Engine engine;
  final Map<Outcome, Integer> outcomes = new EnumMap<>(Outcome.class);
  private final Map<Long, Held> held = new TreeMap<>();
  private final Map<Long, Long> arrivals = new HashMap<>();
  private final PriorityQueue<Wanted> wanted =
      new PriorityQueue<>(
          Comparator.comparingLong(Wanted::dueNanos).thenComparingLong(Wanted::resource));
  private final PriorityQueue<Event> events =
      new PriorityQueue<>(
          Comparator.comparingLong(Event::timeNanos).thenComparingLong(Event::number));
  private long eventNumber;
  private int fetching;

  private record Event(long timeNanos, long number, Runnable what) {}

  private record Wanted(Held held, long resource, long dueNanos) {}

  /// The words of a [LeaseState], as they grow.
  private static final class Held {
    final Lease lease;
    long ready;
    long useful;
    long late;
    long unused;
    long redundant;
    long cancelled;

    Held(Lease lease) {
      this.lease = lease;
    }

    long resource(int place) {
      return Resource.of(lease.space(), lease.first() + place);
    }

    long bit(long resource) {
      long place = resource - resource(0);
      return place < 0 || place >= lease.units() ? 0 : 1L << place;
    }

    long open() {
      return lease.mask() & ~(ready | late | redundant | cancelled);
    }

    LeaseState state() {
      return new LeaseState(
          lease.id(), ready, useful, late, unused, redundant, 0, cancelled, Long.bitCount(useful));
    }
  }

  SimulatedHost(Limits limits) {
    engine =
        new Engine(Thresholds.all(0.25), limits, clock, this, this, notices::add, this::ended, 1);
    at(TICK_NANOS, this::tick);
    connect(false);
  }

  private void ended(Lease lease, long units, Outcome how, long leadNanos) {
    outcomes.merge(how, Long.bitCount(units), Integer::sum);
  }

  void connect(boolean sameStager) {
    engine.reconnected(sameStager);
    held.values().forEach(mine -> engine.held(mine.lease, mine.state()));
    engine.confirmed();
  }

  /// The data plane process was replaced; its tier outlived it.
  void replaceStager() {
    engine.disconnected();
    held.clear();
    wanted.clear();
  }

  private void tick() {
    engine.tick();
    at(TICK_NANOS, this::tick);
  }

  private void at(long afterNanos, Runnable what) {
    events.add(new Event(clock.nanos() + afterNanos, eventNumber++, what));
  }

  void pass(Duration time) {
    passTo(clock.nanos() + time.toNanos());
  }

  private void passTo(long nanos) {
    for (Event next = events.peek();
        next != null && next.timeNanos() <= nanos;
        next = events.peek()) {
      events.remove();
      clock.advanceTo(next.timeNanos());
      next.what().run();
    }
    clock.advanceTo(nanos);
  }

  /// A guest touches the units in turn, thinking in between.
  ///
  /// @return how many touches had to wait
  int touch(Binding disk, List<Long> units, Duration think) {
    int waits = 0;
    for (long unit : units) {
      pass(think);
      long resource = Resource.of(disk.space().id(), unit);
      boolean absent = !resident.contains(resource);
      long asked = clock.nanos();
      long run = engine.runOf(disk.id(), AccessType.READ, asked);
      engine.accessed(read(disk, run, resource, asked, absent, absent ? Access.PENDING : 1000));
      engine.planTouched();
      demand(resource);
      if (absent) {
        waits++;
        Long arrival = arrivals.get(resource);
        if (arrival != null) {
          passTo(arrival);
        }
        engine.answered(read(disk, run, resource, asked, true, clock.nanos() - asked));
      }
    }
    return waits;
  }

  private static Access read(
      Binding disk, long run, long resource, long timeNanos, boolean waited, long latencyNanos) {
    return new Access(
        disk.id(),
        run,
        resource,
        timeNanos,
        AccessType.READ,
        Shape.BLOCK_BYTES,
        Cause.DEMAND,
        waited,
        latencyNanos);
  }

  /// A guest gives a level up, and its host does not keep it.
  void release(Binding binding, long unit) {
    long resource = Resource.of(binding.space().id(), unit);
    resident.remove(resource);
    engine.accessed(
        new Access(
            binding.id(),
            engine.runOf(binding.id(), AccessType.RELEASE, clock.nanos()),
            resource,
            clock.nanos(),
            AccessType.RELEASE,
            1,
            Cause.DEMAND,
            false,
            0));
    engine.planTouched();
  }

  private void demand(long resource) {
    boolean here = resident.contains(resource);
    if (!here && !arrivals.containsKey(resource)) {
      arrivals.put(resource, clock.nanos() + FETCH_NANOS);
      at(
          FETCH_NANOS,
          () -> {
            arrivals.remove(resource);
            resident.add(resource);
          });
    }
    for (Held mine : List.copyOf(held.values())) {
      long bit = mine.bit(resource);
      if ((mine.ready & ~mine.useful & ~mine.unused & bit) != 0) {
        mine.useful |= bit;
        report(mine);
      } else if ((mine.open() & bit) != 0) {
        mine.late |= bit;
        report(mine);
      }
    }
  }

  private void report(Held mine) {
    LeaseState state = mine.state();
    if (state.ended() == mine.lease.mask()) {
      held.remove(mine.lease.id());
    }
    at(
        REPORT_NANOS,
        () -> {
          engine.reported(state);
          engine.planTouched();
        });
  }

  private void pump() {
    while (fetching < FETCHES && !wanted.isEmpty()) {
      Wanted next = wanted.remove();
      Held mine = next.held();
      long bit = mine.bit(next.resource());
      if ((mine.open() & bit) == 0) {
        continue;
      }
      if (resident.contains(next.resource())) {
        mine.redundant |= bit;
        report(mine);
        continue;
      }
      fetching++;
      arrivals.putIfAbsent(next.resource(), clock.nanos() + FETCH_NANOS);
      at(FETCH_NANOS, () -> arrived(mine, next.resource()));
    }
  }

  private void arrived(Held mine, long resource) {
    fetching--;
    arrivals.remove(resource);
    resident.add(resource);
    if ((mine.open() & mine.bit(resource)) != 0) {
      mine.ready |= mine.bit(resource);
      report(mine);
    }
    pump();
  }

  // ---- what the engine asks for

  @Override
  public void stage(Lease lease) {
    staged.add(lease);
    Held mine = new Held(lease);
    held.put(lease.id(), mine);
    for (int i = 0; i < lease.units(); i++) {
      wanted.add(new Wanted(mine, mine.resource(i), lease.dueNanos()));
    }
    pump();
  }

  @Override
  public void cancel(long leaseId) {
    cancelled.add(leaseId);
    Held mine = held.get(leaseId);
    if (mine != null) {
      mine.cancelled |= mine.open();
      report(mine);
    }
  }

  @Override
  public void reclaim(long leaseId) {
    Held mine = held.get(leaseId);
    if (mine != null) {
      long idle = mine.ready & ~mine.useful;
      for (int i = 0; i < mine.lease.units(); i++) {
        if ((idle >>> i & 1) != 0) {
          resident.remove(mine.resource(i));
        }
      }
      mine.unused |= idle;
      mine.cancelled |= mine.open();
      report(mine);
    }
  }

  @Override
  public HybridForecaster of(Program program, ResourceType type) {
    return learnt.computeIfAbsent(program, _ -> new HybridForecaster());
  }

  @Override
  public void learnt(Program program, ResourceType type) {}

  <N extends Notice> List<N> told(Class<N> kind) {
    return notices.stream().filter(kind::isInstance).map(kind::cast).toList();
  }

  /// A host that has the model and not the bytes.
  void forgetBytes() {
    resident.clear();
    engine.resident(0, new BitSet());
    engine.resident(1, new BitSet());
  }
}
