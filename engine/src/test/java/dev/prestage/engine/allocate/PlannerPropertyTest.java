package dev.prestage.engine.allocate;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.time.SimulatedClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.IntConsumer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The planner against a stager that behaves as the data plane may at its worst, compared with a
/// model of what both should hold.
class PlannerPropertyTest {
  private static final int STEPS = 4_000;

  @ParameterizedTest(name = "seed {0}")
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
  void accountAndLimitsHoldWhateverTheStagerDoes(long seed) {
    try {
      new Host(seed).run();
    } catch (AssertionError | RuntimeException e) {
      throw new AssertionError("with seed " + seed + ": " + e.getMessage(), e);
    }
  }

  /// What the data plane holds of a lease.
  private static final class Held {
    final Lease lease;
    LeaseState state;
    boolean calledOff;

    Held(Lease lease) {
      this.lease = lease;
      this.state = LeaseState.granted(lease.id());
    }

    long live() {
      return lease.mask() & ~state.ended();
    }
  }

  private static final class Host implements Decisions {
    private final Random random;
    private final SimulatedClock clock = new SimulatedClock();
    private final Program program = new Program(0, "default", "web");
    private final List<Space> spaces =
        List.of(
            space(0, 500L * Shape.BLOCK_BYTES - 7), space(1, 90L * Shape.BLOCK_BYTES), space(2, 1));
    private final List<Binding> disks = new ArrayList<>();
    private final Limits limits;
    private final Map<Integer, BitSet> tier = new HashMap<>();
    private final Map<Long, Held> held = new TreeMap<>();
    private final List<LeaseState> undelivered = new ArrayList<>();
    private final List<LeaseState> old = new ArrayList<>();
    private final Set<Long> askedBack = new HashSet<>();
    private Planner planner;
    private boolean linked = true;
    private boolean breaking;
    private final Map<Integer, Long> lastDue = new HashMap<>();
    private final Map<Long, Long> told = new HashMap<>();
    private long counted;
    private long demanded;
    private long grantedSinceStart;

    Host(long seed) {
      random = new Random(seed);
      long stagedBytes = (1L + random.nextInt(60)) * Shape.BLOCK_BYTES + random.nextInt(100);
      limits =
          new Limits(
              stagedBytes,
              seed % 3 == 0 ? Quotas.NONE : quotas(stagedBytes),
              1 + random.nextInt(40),
              Duration.ofSeconds(5),
              Duration.ofSeconds(20),
              seed % 5 == 0
                  ? Map.of(ResourceType.FILE_BLOCK, Duration.ofSeconds(1 + random.nextInt(40)))
                  : Map.of(),
              random.nextInt(8),
              seed % 2 == 0 ? Double.POSITIVE_INFINITY : 0.25 * (1 + random.nextInt(40)));
      for (int vm = 0; vm < 5; vm++) {
        disks.add(
            new Binding(
                vm, new Vm(vm, "vm" + vm, program), "disk0", spaces.get(vm % spaces.size())));
      }
      spaces.forEach(space -> tier.put(space.id(), new BitSet()));
      planner = restarted(1);
    }

    private Quotas quotas(long bytes) {
      return new Quotas(anyQuota(bytes), anyQuota(bytes), anyQuota(bytes));
    }

    private long anyQuota(long bytes) {
      return Shape.BLOCK_BYTES + random.nextLong(bytes);
    }

    private static Space space(int id, long bytes) {
      return new Space(id, ResourceType.FILE_BLOCK, "default", "image" + id, Shape.blocks(bytes));
    }

    private Planner restarted(long firstLease) {
      counted = 0;
      told.clear();
      demanded = 0;
      grantedSinceStart = 0;
      askedBack.clear();
      Planner fresh = new Planner(Thresholds.all(0.25), limits, this, this::ended, firstLease);
      disks.forEach(fresh::open);
      tier.forEach((space, units) -> fresh.resident(space, units));
      return fresh;
    }

    void run() {
      for (int step = 0; step < STEPS; step++) {
        clock.advance(Duration.ofMillis(random.nextInt(40)));
        act();
        check();
      }
      finish();
    }

    private void act() {
      switch (random.nextInt(20)) {
        case 0, 1, 2, 3 -> plan();
        case 4, 5, 6, 7, 8, 9 -> stagerWorks();
        case 10, 11, 12 -> report();
        case 13 -> repeatOldReports();
        case 14 -> {
          if (random.nextInt(3) == 0) {
            release();
          } else {
            demand();
          }
        }
        case 15 -> evict();
        case 16 -> tick();
        case 17 -> stop();
        case 18 -> {
          if (random.nextInt(4) == 0) {
            relink(random.nextInt(4) > 0);
          }
        }
        default -> {
          if (random.nextInt(30) == 0) {
            restartControl();
          }
        }
      }
    }

    private void plan() {
      if (!linked) {
        return;
      }
      Binding disk = disks.get(random.nextInt(disks.size()));
      Forecast forecast = new Forecast();
      for (int run = random.nextInt(8); run > 0; run--) {
        long first = random.nextInt((int) disk.space().units() + 5);
        long due = clock.nanos() + (random.nextInt(2000) - 200) * 1_000_000L;
        double probability = random.nextDouble();
        for (int i = random.nextInt(30); i >= 0; i--) {
          int space = random.nextInt(50) == 0 ? 2 : disk.space().id();
          forecast.add(
              Resource.of(space, first + i), probability, due + i * 3_000_000L, Expert.RUN_SET);
        }
      }
      lastDue.clear();
      planner.plan(List.of(disk), forecast, clock.nanos());
    }

    private void stagerWorks() {
      for (Held lease : List.copyOf(held.values())) {
        for (long left = lease.live(); left != 0; left &= left - 1) {
          if (random.nextInt(4) == 0) {
            work(lease, Long.lowestOneBit(left));
          }
        }
      }
    }

    private void work(Held held, long bit) {
      LeaseState state = held.state;
      int unit = (int) held.lease.first() + Long.numberOfTrailingZeros(bit);
      BitSet resident = tier(held.lease.space());
      if ((state.ready() & bit) != 0) {
        if (random.nextInt(3) == 0) {
          held.state = plus(state, 0, bit, 0, 0, 0, 0, 0);
        }
      } else if (held.calledOff) {
        held.state = plus(state, 0, 0, 0, 0, 0, 0, bit);
      } else if (resident.get(unit)) {
        held.state = plus(state, 0, 0, 0, 0, bit, 0, 0);
      } else {
        switch (random.nextInt(8)) {
          case 0 -> {
            resident.set(unit);
            held.state = plus(state, random.nextBoolean() ? bit : 0, 0, bit, 0, 0, 0, 0);
          }
          case 1 -> held.state = plus(state, 0, 0, 0, 0, 0, bit, 0);
          default -> {
            resident.set(unit);
            held.state = plus(state, bit, 0, 0, 0, 0, 0, 0);
          }
        }
      }
      said(held);
    }

    private static LeaseState plus(
        LeaseState state,
        long ready,
        long useful,
        long late,
        long unused,
        long redundant,
        long failed,
        long cancelled) {
      return state.plus(
          new LeaseState(
              state.leaseId(),
              ready,
              useful,
              late,
              unused,
              redundant,
              failed,
              cancelled,
              state.leadNanos() + 1000L * Long.bitCount(useful)));
    }

    /// The stager has something to report, and forgets a lease that has ended with its report.
    private void said(Held lease) {
      if (linked) {
        undelivered.add(lease.state);
      }
      if (lease.live() == 0) {
        held.remove(lease.lease.id());
      }
    }

    private void report() {
      for (LeaseState state : List.copyOf(undelivered)) {
        planner.book(state, clock.nanos());
        old.add(state);
        if (random.nextInt(5) == 0) {
          planner.book(state, clock.nanos());
        }
      }
      undelivered.clear();
    }

    private void repeatOldReports() {
      for (int i = 0; i < 5 && !old.isEmpty(); i++) {
        planner.book(old.get(random.nextInt(old.size())), clock.nanos());
      }
    }

    private void demand() {
      Binding disk = disks.get(random.nextInt(disks.size()));
      long index = random.nextLong(disk.space().units());
      tier(disk.space().id()).set((int) index);
      if (random.nextInt(3) > 0) { // else the access was shed
        demanded++;
        planner.demanded(0, Resource.of(disk.space().id(), index));
      }
    }

    /// A guest gives a level up; its host keeps it ready or does not.
    private void release() {
      Space levels = spaces.getLast();
      int index = random.nextInt((int) levels.units());
      tier(levels.id()).set(index, random.nextBoolean());
      planner.released(0, Resource.of(levels.id(), index));
    }

    private void evict() {
      Binding disk = disks.get(random.nextInt(disks.size()));
      int first = random.nextInt((int) disk.space().units());
      int units = 1 + random.nextInt((int) disk.space().units() - first);
      tier(disk.space().id()).clear(first, first + units);
      planner.evicted(disk.space().id(), first, units);
    }

    private void tick() {
      lastDue.clear();
      planner.askBackUnused(clock.nanos());
      planner.retryFailed(clock.nanos());
      if (linked) {
        planner.admitWaiting(clock.nanos());
      }
      if (random.nextInt(8) == 0) {
        clock.advance(Duration.ofSeconds(6));
      }
    }

    private void stop() {
      planner.callOff(List.of(disks.get(random.nextInt(disks.size()))));
    }

    /// The link breaks, what was on it is lost, and the data plane says what it holds; or it is a
    /// new one, which holds nothing.
    private void relink(boolean sameStager) {
      linked = false;
      undelivered.clear();
      stagerWorks();
      tick();
      if (!sameStager) {
        held.clear();
      }
      sayHeld();
    }

    private void restartControl() {
      undelivered.clear();
      old.clear();
      planner = restarted(clock.nanos() / 1000);
      sayHeld();
    }

    private void sayHeld() {
      Set<Long> unconfirmed = new HashSet<>();
      planner.ledger().live().forEach(entry -> unconfirmed.add(entry.lease().id()));
      for (Held lease : held.values()) {
        long before = planner.ledger().totals().granted();
        planner.held(lease.lease, lease.state, clock.nanos());
        grantedSinceStart += planner.ledger().totals().granted() - before;
        unconfirmed.remove(lease.lease.id());
        askedBack.remove(lease.lease.id());
      }
      tier.forEach(planner::resident);
      planner.abandon(unconfirmed);
      linked = true;
    }

    private BitSet tier(int space) {
      return tier.computeIfAbsent(space, _ -> new BitSet());
    }

    // ---- what the planner decides

    @Override
    public void granted(Lease lease) {
      assertThat(linked).as("granted while linked").isTrue();
      assertThat(lease.units()).isBetween(1, 16);
      if (Double.isFinite(limits.uselessPerDemand())) {
        LeaseLedger.Totals totals = planner.ledger().totals();
        long inVain =
            totals.granted()
                - totals.useful()
                - totals.redundant()
                - totals.failed()
                - totals.cancelled();
        assertThat((double) inVain)
            .as("in vain at worst")
            .isLessThanOrEqualTo(limits.uselessPerDemand() * demanded);
      }
      Space space = spaces.get(lease.space());
      assertThat(lease.first() + lease.units()).isLessThanOrEqualTo(space.units());
      assertThat(space.shape().belongTogether(lease.first(), lease.range().end() - 1))
          .as("levels of one meter")
          .isTrue();
      Long before = lastDue.put(lease.binding(), lease.dueNanos());
      assertThat(before == null || lease.dueNanos() >= before).as("due-time order").isTrue();
      grantedSinceStart += lease.units();
      if (random.nextInt(100) > 0) { // else it is lost with a link that breaks later
        held.put(lease.id(), new Held(lease));
      } else {
        breaking = true;
      }
    }

    @Override
    public void askedBack(Lease lease) {
      assertThat(askedBack.add(lease.id())).as("asked back once").isTrue();
      Held mine = held.get(lease.id());
      if (mine != null && linked) {
        long ready = mine.live() & mine.state.ready();
        long rest = mine.live() & ~ready;
        forEach(lease, ready, index -> tier(lease.space()).clear(index));
        mine.state = plus(mine.state, 0, 0, 0, ready, 0, 0, rest);
        said(mine);
      }
    }

    private static void forEach(Lease lease, long bits, IntConsumer to) {
      for (long left = bits; left != 0; left &= left - 1) {
        to.accept((int) lease.first() + Long.numberOfTrailingZeros(left));
      }
    }

    @Override
    public void calledOff(Lease lease) {
      Held mine = held.get(lease.id());
      if (mine != null && linked) {
        mine.calledOff = true;
      }
    }

    @Override
    public void unavailable(Binding binding, Range range, String reason) {
      assertThat(reason).isIn("capacity", "quota", "stale");
    }

    @Override
    public void queued(Binding binding, Range range, int depth) {
      assertThat(depth).isBetween(1, limits.waitingRanges());
    }

    private void ended(Lease lease, long units, Outcome how, long leadNanos) {
      assertThat(units).isNotZero();
      assertThat(units & ~lease.mask()).as("units of its range").isZero();
      assertThat(leadNanos > 0).isEqualTo(how == Outcome.USEFUL);
      long before = told.getOrDefault(lease.id(), 0L);
      assertThat(before & units).as("each unit is told once").isZero();
      told.put(lease.id(), before | units);
      counted += Long.bitCount(units);
    }

    // ---- what must hold

    private void check() {
      if (breaking) {
        breaking = false;
        relink(true);
      }
      LeaseLedger.Totals totals = planner.ledger().totals();
      long ended =
          totals.useful()
              + totals.late()
              + totals.unused()
              + totals.redundant()
              + totals.failed()
              + totals.cancelled()
              + totals.unobserved();
      assertThat(totals.granted()).isEqualTo(ended + totals.live());
      assertThat(totals.granted()).isEqualTo(grantedSinceStart);
      assertThat(counted).isEqualTo(ended);
      assertThat(planner.inFlightUnits()).isBetween(0, limits.inFlightUnits());
      assertThat(planner.stagedBytes()).isBetween(0L, limits.stagedBytes());
      assertThat(planner.waitingRanges()).isBetween(0, limits.waitingRanges());
      int inFlight = 0;
      long bytes = 0;
      Map<Integer, Long> byVm = new HashMap<>();
      Set<Long> leased = new HashSet<>();
      for (LeaseLedger.Entry entry : planner.ledger().live()) {
        Lease lease = entry.lease();
        inFlight += Long.bitCount(entry.inFlight());
        long held = Long.bitCount(entry.live()) * spaces.get(lease.space()).shape().unitAmount();
        bytes += held;
        byVm.merge(lease.binding(), held, Long::sum);
        forEach(
            lease,
            entry.live(),
            index ->
                assertThat(leased.add(Resource.of(lease.space(), index)))
                    .as("unit %d of space %d is leased once", index, lease.space())
                    .isTrue());
      }
      assertThat(planner.inFlightUnits()).isEqualTo(inFlight);
      long most = Math.min(limits.quotas().tenantBytes(), limits.quotas().programBytes());
      assertThat(planner.stagedBytes()).isEqualTo(bytes).isLessThanOrEqualTo(most);
      assertThat(byVm.values()).allMatch(each -> each <= limits.quotas().vmBytes());
      checkHolders(byVm, bytes);
      for (Held lease : held.values()) {
        assertThat(planner.ledger().find(lease.lease.id()))
            .as("the planner knows what its stager holds")
            .isNotNull();
      }
    }

    private void checkHolders(Map<Integer, Long> byVm, long bytes) {
      for (Binding disk : disks) {
        Holder vm = Objects.requireNonNull(planner.holders().ofBinding(disk.id()));
        assertThat(vm.heldBytes()).as("vm").isEqualTo(byVm.getOrDefault(disk.id(), 0L));
        Holder ofProgram = Objects.requireNonNull(vm.above());
        Holder ofTenant = Objects.requireNonNull(ofProgram.above());
        assertThat(List.of(ofProgram.heldBytes(), ofTenant.heldBytes())).containsOnly(bytes);
        assertThat(ofTenant.inFlightParts()).isEqualTo(16L * planner.inFlightUnits());
      }
    }

    /// All VMs stop and all stays unused: everything comes back.
    private void finish() {
      planner.callOff(disks);
      for (int round = 0; round < 200; round++) {
        clock.advance(Duration.ofSeconds(30));
        tick();
        stagerWorks();
        report();
        check();
      }
      assertThat(held).isEmpty();
      assertThat(planner.ledger().totals().live()).isZero();
      assertThat(planner.inFlightUnits()).isZero();
      assertThat(planner.stagedBytes()).isZero();
      assertThat(planner.waitingRanges()).isZero();
      disks.forEach(planner::close);
      assertThat(planner.holders().isEmpty()).as("nobody is left").isTrue();
    }
  }
}
