package dev.prestage.benchmarks.engine;

import dev.prestage.engine.Engine;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.allocate.LeaseLedger;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Quotas;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.Models;
import dev.prestage.engine.predict.ReachedLevels;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.stage.Notice;
import dev.prestage.engine.stage.Stager;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.Set;

/// A day of a host in simulated time, on the real engine: a hundred VMs of eight programs and two
/// tenants that start, stop, pause between phases and are removed at any moment, with disks,
/// memory, connections and a link. Stagers and reports misbehave as [SimulatedEdges] says, the link
/// between the planes breaks, either plane is replaced, the clock steps, and now and then a
/// thousand requests come at once.
///
/// What must hold is checked every simulated minute and, for each lease, when it is granted. The
/// day ends when all has stopped and every lease had time to end; nothing may be left then.
public final class HostDay {
  private static final long MILLI = 1_000_000;
  private static final long SECOND = 1000 * MILLI;
  private static final long MINUTE = 60 * SECOND;
  private static final long HOUR = 60 * MINUTE;
  private static final long DAY = 24 * HOUR;
  private static final long TICK = 5 * SECOND;

  private static final int VMS = 100;
  private static final int PROGRAMS = 8;
  private static final int DISK_UNITS = 4000;
  private static final int MEMORY_UNITS = 16_384;
  private static final int LEVELS = 8;
  private static final int PHASES = 3;
  private static final int REQUESTS_AT_ONCE = 1000;
  private static final long EPOCH = 1_800_000_000L * SECOND;
  private static final Set<String> REASONS = Set.of("capacity", "quota", "failed", "stale");

  private final Random random;
  private final PriorityQueue<Event> events =
      new PriorityQueue<>(
          Comparator.comparingLong(Event::timeNanos).thenComparingLong(Event::number));
  private final Limits limits;
  private final SimulatedEdges edges;
  private final List<Behaviour> behaviours = new ArrayList<>();
  private final List<Guest> guests = new ArrayList<>();
  private final Map<String, Forecaster> models = new HashMap<>();
  private final Map<Integer, Binding> bindings = new HashMap<>();
  private final Map<Account, Counts> accounts = new HashMap<>();
  private final Map<Long, Long> ended = new HashMap<>();
  private final EnumMap<Outcome, Long> outcomes = new EnumMap<>(Outcome.class);
  private final long seed;
  private Engine engine;
  private long elapsed;
  private long skew;
  private long eventNumber;
  private int nextVm;
  private long granted;
  private long refusals;
  private long queued;
  private long lastLease;
  private boolean over;

  private record Event(long timeNanos, long number, Runnable what) {}

  /// What the account is kept by.
  private record Account(Program.Key program, ResourceType type) {}

  private static final class Counts {
    long granted;
    long ended;
    long live;
  }

  /// What came of a day, in units.
  ///
  /// @param granted leased
  /// @param outcomes how they ended
  /// @param refusals notices that something cannot be had
  /// @param queued notices that something waits
  public record Result(
      long seed, long granted, Map<Outcome, Long> outcomes, long refusals, long queued) {}

  /// What a program does.
  ///
  /// @param disk the units that each of its phases reads, in order
  /// @param memory the pages that each touches
  /// @param connections how many it comes to need in each
  /// @param bandwidth how many levels of the link
  private record Behaviour(
      Program program,
      List<Space> spaces,
      List<List<Integer>> disk,
      List<List<Integer>> memory,
      List<Integer> connections,
      List<Integer> bandwidth) {}

  /// @param seed decides all
  public HostDay(long seed) {
    this.seed = seed;
    this.random = new Random(seed);
    long stagedBytes = (8L + random.nextInt(120)) << 20;
    this.limits =
        new Limits(
            stagedBytes,
            seed % 3 == 0 ? quotas(stagedBytes) : Quotas.NONE,
            16 + random.nextInt(500),
            Duration.ofSeconds(30),
            Duration.ofMinutes(2 + random.nextInt(20)),
            Map.of(ResourceType.MEMORY_PAGE, Duration.ofMinutes(1 + random.nextInt(20))),
            random.nextInt(200),
            seed % 4 == 0 ? .5 : Double.POSITIVE_INFINITY);
    // Never less than leases may hold, and less than all that is ever read.
    this.edges =
        new SimulatedEdges(this::after, random, limits.stagedBytes() + (random.nextInt(64) << 20));
    for (int program = 0; program < PROGRAMS; program++) {
      behaviours.add(behaviour(program));
    }
    this.engine = newEngine(1);
  }

  /// Down to a few units.
  private Quotas quotas(long stagedBytes) {
    long tenant = stagedBytes / (1 + random.nextInt(8));
    long program = tenant / (1 + random.nextInt(4));
    return new Quotas(tenant, program, program / (1 + random.nextInt(16)));
  }

  /// Lives the day.
  ///
  /// @throws IllegalStateException saying what does not hold, and when
  public Result run() {
    try {
      edges.connect(engine, false, false);
      for (int guest = 0; guest < VMS; guest++) {
        Guest fresh = new Guest();
        guests.add(fresh);
        after(random.nextLong(HOUR), fresh::arrive);
      }
      after(TICK, this::tick);
      after(MINUTE, this::everyMinute);
      after(random.nextLong(HOUR), this::breakLink);
      after(random.nextLong(6 * HOUR), this::stepClock);
      after(random.nextLong(12 * HOUR), this::askAtOnce);
      after(6 * HOUR + random.nextLong(12 * HOUR), this::replaceControlPlane);
      pass(DAY);
      finish();
    } catch (RuntimeException e) {
      throw new IllegalStateException(
          "seed %d, %s into the day: %s".formatted(seed, Duration.ofNanos(elapsed), e), e);
    }
    return new Result(seed, granted, outcomes, refusals, queued);
  }

  private void finish() {
    over = true;
    edges.heal();
    if (!edges.isLinked()) {
      edges.connect(engine, true, true);
    }
    for (Guest guest : guests) {
      if (random.nextBoolean()) {
        guest.leave();
      }
    }
    engine.stopAll();
    // Once for what stays unused, and once for reports that were under way.
    pass(2 * limits.reclaimAfter().toNanos() + HOUR);
    check();
    require(engine.ledger().totals().live() == 0, "units are live after all has stopped");
    require(engine.stagedBytes() == 0, "bytes are held after all has stopped");
    require(engine.inFlightUnits() == 0, "units are in flight after all has stopped");
    require(engine.waitingRanges() == 0, "ranges wait after all has stopped");
    require(edges.heldUnits() == 0, "the host holds leases that the engine forgot");
  }

  // ---- time

  private void after(long nanos, Runnable what) {
    events.add(new Event(elapsed + nanos, eventNumber++, what));
  }

  private void pass(long nanos) {
    long end = elapsed + nanos;
    for (Event next = events.peek();
        next != null && next.timeNanos() <= end;
        next = events.peek()) {
      events.remove();
      elapsed = next.timeNanos();
      next.what().run();
    }
    elapsed = end;
  }

  private long now() {
    return EPOCH + elapsed + skew;
  }

  private void tick() {
    engine.tick();
    after(TICK, this::tick);
  }

  private void everyMinute() {
    check();
    after(MINUTE, this::everyMinute);
  }

  /// By up to ten minutes, either way.
  private void stepClock() {
    if (!over) {
      skew += random.nextLong(20 * MINUTE) - 10 * MINUTE;
      after(random.nextLong(6 * HOUR), this::stepClock);
    }
  }

  // ---- what breaks

  private void breakLink() {
    if (over) {
      return;
    }
    if (edges.isLinked()) {
      edges.disconnect(engine);
      after(
          random.nextLong(2 * MINUTE),
          () -> {
            if (!edges.isLinked()) {
              edges.connect(engine, random.nextInt(3) != 0, true);
            }
          });
    }
    after(random.nextLong(2 * HOUR), this::breakLink);
  }

  private void replaceControlPlane() {
    edges.disconnect(engine);
    engine.stopAll();
    engine = newEngine(lastLease + 1000);
    accounts.clear();
    ended.clear();
    outcomes.clear();
    granted = 0;
    for (Guest guest : guests) {
      guest.resume();
    }
    edges.connect(engine, true, false);
    for (LeaseLedger.Entry entry : engine.leases(null)) {
      count(entry.lease(), Long.bitCount(entry.live()));
      ended.put(entry.lease().id(), entry.lease().mask() & ~entry.live());
    }
  }

  private void askAtOnce() {
    if (!over) {
      Forecast forecast = new Forecast();
      for (int request = 0; request < REQUESTS_AT_ONCE; request++) {
        Guest guest = guests.get(random.nextInt(VMS));
        if (random.nextInt(3) == 0) {
          forecast.clear();
          engine.expect(guest.number(), forecast);
        } else {
          Engine.AllocationState state = engine.allocate(guest.number());
          require(state == null || engine.allocation(state.id()) != null, "an allocation is lost");
          if (state != null && random.nextInt(8) == 0) {
            require(engine.release(state.id()), "an allocation cannot be taken back");
          }
        }
      }
      check();
      after(random.nextLong(12 * HOUR), this::askAtOnce);
    }
  }

  // ---- what must hold

  private void check() {
    LeaseLedger.Totals totals = engine.ledger().totals();
    long all = totals.outcomes().values().stream().mapToLong(Long::longValue).sum();
    require(totals.granted() == all + totals.live(), "granted is not ended and live");
    require(totals.granted() == granted, "more or less was granted than was staged");
    for (Outcome how : Outcome.values()) {
      require(
          Objects.equals(totals.outcomes().get(how.text()), outcomes.getOrDefault(how, 0L)),
          how.text() + " is told otherwise than it is counted");
    }
    require(totals.live() == edges.claimedUnits(), "live units are others than the host's");
    require(engine.stagedBytes() == edges.claimedBytes(), "bytes held are others than the host's");
    require(engine.stagedBytes() <= limits.stagedBytes(), "more bytes are held than may be");
    require(
        engine.inFlightUnits() >= 0 && engine.inFlightUnits() <= limits.inFlightUnits(),
        engine.inFlightUnits() + " units are in flight");
    require(engine.waitingRanges() <= limits.waitingRanges(), "more waits than may");
    require(edges.usedBytes() <= edges.tierBytes(), "the tier holds more than it can");
    checkAccounts();
  }

  private void checkAccounts() {
    accounts.values().forEach(counts -> counts.live = 0);
    Map<Object, Long> held = new HashMap<>();
    for (LeaseLedger.Entry entry : engine.leases(null)) {
      account(entry.lease()).live += Long.bitCount(entry.live());
      hold(held, entry);
    }
    held.forEach((holder, bytes) ->
        require(bytes <= quotaOf(holder), holder + " holds more than it may: " + bytes));
    accounts.forEach((account, counts) ->
        require(
            counts.granted == counts.ended + counts.live,
            "the account does not add up: " + account));
  }

  private void hold(Map<Object, Long> held, LeaseLedger.Entry entry) {
    Binding binding = bindingOf(entry.lease());
    long bytes = Long.bitCount(entry.live()) * binding.space().shape().contentAmount();
    Program program = binding.vm().program();
    held.merge(program.tenant(), bytes, Long::sum);
    held.merge(program.key(), bytes, Long::sum);
    held.merge(binding.vm(), bytes, Long::sum);
  }

  private long quotaOf(Object holder) {
    return switch (holder) {
      case Vm _ -> limits.quotas().vmBytes();
      case Program.Key _ -> limits.quotas().programBytes();
      default -> limits.quotas().tenantBytes();
    };
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new IllegalStateException(otherwise);
    }
  }

  private Counts account(Lease lease) {
    Binding binding = bindingOf(lease);
    return accounts.computeIfAbsent(
        new Account(binding.vm().program().key(), binding.space().type()), _ -> new Counts());
  }

  private Binding bindingOf(Lease lease) {
    Binding binding = bindings.get(lease.binding());
    if (binding == null) {
      throw new IllegalStateException("a lease of no binding: " + lease);
    }
    return binding;
  }

  private void count(Lease lease, int units) {
    account(lease).granted += units;
    granted += units;
    lastLease = Math.max(lastLease, lease.id());
  }

  private void staged(Lease lease) {
    require(!ended.containsKey(lease.id()), "a lease's number comes again");
    ended.put(lease.id(), 0L);
    count(lease, lease.units());
    edges.stage(lease);
    require(engine.stagedBytes() <= limits.stagedBytes(), "a grant exceeds what may be held");
  }

  private void ended(Lease lease, long units, Outcome how) {
    long before = ended.getOrDefault(lease.id(), 0L);
    require((before & units) == 0 && units != 0, "a unit ended twice in lease " + lease.id());
    require((units & ~lease.mask()) == 0, "a unit ended that is none of lease " + lease.id());
    ended.put(lease.id(), before | units);
    account(lease).ended += Long.bitCount(units);
    outcomes.merge(how, (long) Long.bitCount(units), Long::sum);
  }

  private void told(Notice notice) {
    switch (notice) {
      case Notice.Unavailable unavailable -> {
        refusals++;
        require(REASONS.contains(unavailable.reason()), "no reason: " + unavailable);
      }
      case Notice.Queued waits -> {
        queued++;
        require(waits.depth() <= limits.waitingRanges(), "too deep a queue: " + waits);
      }
      case Notice.Planned planned ->
          require(
              planned.units() >= 0 && planned.bytes() >= 0 && planned.probability() <= 1,
              "no plan: " + planned);
      case Notice.Staged staged -> require(staged.units() > 0, "nothing staged: " + staged);
      case Notice.Reclaimed back -> require(back.units() > 0, "nothing came back: " + back);
      case Notice.Available _, Notice.Complete _, Notice.Degraded _ -> {
        // They carry no amounts that must hold.
      }
    }
  }

  // ---- the host

  private Engine newEngine(long firstLease) {
    return new Engine(
        Thresholds.all(Thresholds.DEFAULT),
        limits,
        this::now,
        new LearntModels(),
        new Staging(),
        this::told,
        (lease, units, how, _) -> ended(lease, units, how),
        firstLease);
  }

  /// Grants are looked at before the edges have them.
  private final class Staging implements Stager {
    @Override
    public void stage(Lease lease) {
      staged(lease);
    }

    @Override
    public void cancel(long leaseId) {
      edges.cancel(leaseId);
    }

    @Override
    public void reclaim(long leaseId) {
      edges.reclaim(leaseId);
    }
  }

  private final class LearntModels implements Models {
    @Override
    public Forecaster of(Program program, ResourceType type) {
      return models.computeIfAbsent(
          program.key() + " " + type,
          _ ->
              type == ResourceType.NETWORK_CONNECTION || type == ResourceType.IO_BANDWIDTH
                  ? new ReachedLevels(new HybridForecaster(), new long[0])
                  : new HybridForecaster());
    }

    @Override
    public void learnt(Program program, ResourceType type) {}
  }

  // ---- programs

  /// Programs of one tenant share an image in pairs, as roles on one distribution do.
  private Behaviour behaviour(int number) {
    String tenant = number % 2 == 0 ? "blue" : "green";
    int family = number / 4 * 2 + number % 2;
    List<Space> spaces = new ArrayList<>();
    spaces.add(
        new Space(
            family,
            ResourceType.FILE_BLOCK,
            tenant,
            "image" + family,
            Shape.blocks((long) DISK_UNITS * Shape.BLOCK_BYTES - 77)));
    if (number < 6) {
      spaces.add(
          new Space(
              10 + number,
              ResourceType.MEMORY_PAGE,
              tenant,
              "snapshot" + number,
              new Shape(MEMORY_UNITS * 4096L, 4096, Measure.BYTES, 1)));
    }
    spaces.add(
        new Space(
            20 + family,
            ResourceType.NETWORK_CONNECTION,
            tenant,
            "upstream" + family,
            new Shape(LEVELS, 1, Measure.CONNECTIONS, LEVELS)));
    spaces.add(
        new Space(
            30 + number % 2,
            ResourceType.IO_BANDWIDTH,
            tenant,
            "link" + number % 2,
            new Shape(LEVELS * 8_000_000L, 8_000_000, Measure.BYTES_PER_SECOND, LEVELS)));
    List<List<Integer>> disk = new ArrayList<>();
    List<List<Integer>> memory = new ArrayList<>();
    for (int phase = 0; phase < PHASES; phase++) {
      disk.add(workingSet(DISK_UNITS - 16, 12 + random.nextInt(16)));
      memory.add(workingSet(MEMORY_UNITS - 16, 12 + random.nextInt(16)));
    }
    return new Behaviour(
        new Program(number, tenant, "program" + number),
        List.copyOf(spaces),
        disk,
        memory,
        random.ints(PHASES, 0, LEVELS).boxed().toList(),
        random.ints(PHASES, 0, LEVELS).boxed().toList());
  }

  /// Short sequences at random places.
  private List<Integer> workingSet(int most, int units) {
    List<Integer> set = new ArrayList<>();
    int at = 0;
    for (int i = 0; i < units; i++) {
      at = i % 4 == 0 ? random.nextInt(most) : at + 1;
      set.add(at);
    }
    return set;
  }

  /// One place for a VM on the host: VMs come to it one after the other, each with a number of its
  /// own.
  private final class Guest {
    private Behaviour behaviour = behaviours.getFirst();
    private Vm vm = new Vm(-1, "none", behaviour.program());
    private List<Binding> bound = List.of();
    private final Map<ResourceType, Integer> levels = new EnumMap<>(ResourceType.class);
    private int life;
    private boolean isHere;

    int number() {
      return vm.id();
    }

    private void later(long nanos, Runnable what) {
      int of = life;
      after(
          nanos,
          () -> {
            if (of == life && !over) {
              what.run();
            }
          });
    }

    void arrive() {
      if (over) {
        return;
      }
      life++;
      isHere = true;
      behaviour = behaviours.get(random.nextInt(PROGRAMS));
      int number = nextVm++;
      vm = new Vm(number, "vm" + number, behaviour.program());
      bound = new ArrayList<>();
      engine.added(vm);
      for (Space space : behaviour.spaces()) {
        Binding binding =
            new Binding(number * 4 + bound.size(), vm, "binding" + bound.size(), space);
        bound.add(binding);
        bindings.put(binding.id(), binding);
        edges.bound(binding);
        engine.bound(binding);
      }
      if (random.nextInt(3) == 0) {
        engine.allocate(number);
      }
      later(random.nextLong(MINUTE), this::start);
      // At any moment, a run in its midst included.
      if (random.nextInt(4) == 0) {
        later(random.nextLong(4 * HOUR), this::replace);
      }
    }

    private void replace() {
      leave();
      after(random.nextLong(HOUR), this::arrive);
    }

    void leave() {
      if (isHere) {
        isHere = false;
        life++;
        levels.clear();
        engine.detached(vm.id());
        bound.forEach(edges::unbound);
      }
    }

    /// A new control plane finds the VM.
    void resume() {
      if (isHere) {
        engine.added(vm);
        bound.forEach(engine::resumed);
      }
    }

    private void start() {
      // Some VM managers say nothing.
      if (random.nextInt(5) != 0) {
        engine.started(vm.id());
      }
      later(random.nextLong(SECOND), () -> phase(0));
    }

    private void phase(int number) {
      if (number == PHASES) {
        stop();
        return;
      }
      reach(ResourceType.NETWORK_CONNECTION, behaviour.connections().get(number));
      reach(ResourceType.IO_BANDWIDTH, behaviour.bandwidth().get(number));
      read(number, 0);
    }

    private void stop() {
      reach(ResourceType.NETWORK_CONNECTION, 0);
      reach(ResourceType.IO_BANDWIDTH, 0);
      engine.stopped(vm.id());
      if (random.nextInt(4) == 0) {
        replace();
      } else {
        later(2 * HOUR + random.nextLong(6 * HOUR), this::start);
      }
    }

    private void read(int phase, int place) {
      List<Integer> disk = behaviour.disk().get(phase);
      List<Integer> memory = behaviour.memory().get(phase);
      if (place >= disk.size() && place >= memory.size()) {
        later(random.nextLong(5 * MINUTE), () -> phase(phase + 1));
        return;
      }
      for (Binding binding : bound) {
        if (binding.space().type() == ResourceType.FILE_BLOCK && place < disk.size()) {
          // One in ten reads is of something else.
          touch(binding, random.nextInt(10) == 0 ? random.nextInt(DISK_UNITS) : disk.get(place));
        } else if (binding.space().type() == ResourceType.MEMORY_PAGE
            && place < memory.size()
            && !edges.isReady(binding, memory.get(place))) {
          // A page that is installed faults no more.
          touch(binding, memory.get(place));
        }
      }
      engine.planTouched();
      long think = random.nextInt(50) == 0 ? SECOND : (1 + random.nextInt(30)) * MILLI;
      later(think, () -> read(phase, place + 1));
    }

    /// Touches or gives up levels until so many are used.
    private void reach(ResourceType type, int level) {
      for (Binding binding : bound) {
        if (binding.space().type() == type) {
          int at = levels.getOrDefault(type, 0);
          for (; at < level; at++) {
            touch(binding, at);
          }
          for (; at > level; at--) {
            access(binding, at - 1, AccessType.RELEASE);
            edges.released(binding, at - 1);
          }
          levels.put(type, at);
        }
      }
      engine.planTouched();
    }

    private void touch(Binding binding, int index) {
      access(binding, index, AccessType.READ);
      edges.demanded(binding, index);
    }

    private void access(Binding binding, int index, AccessType type) {
      boolean waits = type == AccessType.READ && !edges.isReady(binding, index);
      engine.accessed(
          new Access(
              binding.id(),
              engine.runOf(binding.id(), type, now()),
              Resource.of(binding.space().id(), index),
              now(),
              type,
              binding.space().shape().unitAmount(),
              Cause.DEMAND,
              waits,
              waits ? Access.PENDING : 1000));
    }
  }
}
