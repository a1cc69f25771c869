package dev.prestage.engine.allocate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.time.SimulatedClock;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PlannerTest {
  private static final Space SPACE =
      new Space(
          0, ResourceType.FILE_BLOCK, "default", "debian", Shape.blocks(1000L * Shape.BLOCK_BYTES));
  private static final Vm VM = new Vm(1, "vm1", new Program(0, "default", "web"));
  private static final Binding DISK = new Binding(11, VM, "disk0", SPACE);
  private static final List<Binding> BOUND = List.of(DISK);
  private static final long MILLI = 1_000_000;

  private final SimulatedClock clock = new SimulatedClock();
  private final Recorded decided = new Recorded();

  private Planner planner(Thresholds thresholds, long units, int inFlight, int waiting) {
    return planner(thresholds, units, inFlight, waiting, Double.POSITIVE_INFINITY);
  }

  private Planner planner(
      Thresholds thresholds, long units, int inFlight, int waiting, double uselessPerDemand) {
    Limits limits =
        new Limits(
            units * Shape.BLOCK_BYTES,
            inFlight,
            Duration.ofSeconds(30),
            Duration.ofMinutes(1),
            waiting,
            uselessPerDemand);
    Planner planner = new Planner(thresholds, limits, decided, (_, _, _, _) -> {}, 100);
    planner.open(DISK);
    return planner;
  }

  private Planner planner(long units, int inFlight, int waiting) {
    return planner(Thresholds.all(0.25), units, inFlight, waiting);
  }

  /// Units from `first` on, all due after `afterMillis`.
  private void expect(Forecast into, long first, int units, double probability, long afterMillis) {
    for (int i = 0; i < units; i++) {
      into.add(
          Resource.of(0, first + i),
          probability,
          clock.nanos() + afterMillis * MILLI,
          Expert.RUN_SET);
    }
  }

  private Forecast expected(long first, int units, double probability) {
    Forecast forecast = new Forecast();
    expect(forecast, first, units, probability, 10);
    return forecast;
  }

  private static LeaseState ready(Lease lease) {
    return new LeaseState(lease.id(), lease.mask(), 0, 0, 0, 0, 0, 0, 0);
  }

  private static LeaseState useful(Lease lease) {
    return new LeaseState(lease.id(), lease.mask(), lease.mask(), 0, 0, 0, 0, 0, 5);
  }

  private static LeaseState failed(Lease lease) {
    return new LeaseState(lease.id(), 0, 0, 0, 0, 0, lease.mask(), 0, 0);
  }

  @Test
  void theMostSpecificThresholdCounts() {
    Thresholds thresholds =
        new Thresholds(
            0.9,
            Map.of(ResourceType.FILE_BLOCK, 0.5),
            Map.of(new Program.Key("default", "db"), 0.2));
    Program db = new Program(2, "default", "db");
    assertThat(thresholds.of(db, ResourceType.FILE_BLOCK)).isEqualTo(0.2);
    assertThat(thresholds.of(VM.program(), ResourceType.FILE_BLOCK)).isEqualTo(0.5);
    assertThat(thresholds.of(VM.program(), ResourceType.MEMORY_PAGE)).isEqualTo(0.9);
    Program namesake = new Program(3, "other", "db");
    assertThat(thresholds.of(namesake, ResourceType.FILE_BLOCK)).isEqualTo(0.5);
    Planner planner = planner(thresholds, 100, 100, 10);
    planner.plan(BOUND, expected(0, 1, 0.49), clock.nanos());
    assertThat(decided.granted).isEmpty();
    planner.plan(BOUND, expected(0, 1, 0.5), clock.nanos());
    assertThat(decided.granted).hasSize(1);
  }

  @Test
  void neighboursDueTogetherShareALeaseOfAtMostSixteen() {
    Planner planner = planner(100, 100, 10);
    planner.plan(BOUND, expected(200, 40, 0.9), clock.nanos());
    assertThat(decided.granted).extracting(Lease::units).containsExactly(16, 16, 8);
    assertThat(decided.granted).extracting(Lease::first).containsExactly(200L, 216L, 232L);
  }

  @Test
  void neighbourDueMuchLaterHasALeaseOfItsOwn() {
    Planner planner = planner(100, 100, 10);
    Forecast forecast = new Forecast();
    expect(forecast, 7, 1, 0.9, 10);
    expect(forecast, 8, 1, 0.9, 61);
    planner.plan(BOUND, forecast, clock.nanos());
    assertThat(decided.granted).extracting(Lease::units).containsExactly(1, 1);
  }

  @Test
  void leasesAreGrantedInTheOrderOfDueTimes() {
    Planner planner = planner(100, 100, 10);
    Forecast forecast = new Forecast();
    expect(forecast, 300, 1, 0.9, 900);
    expect(forecast, 100, 1, 0.5, 100);
    expect(forecast, 500, 1, 0.7, 500);
    planner.plan(BOUND, forecast, clock.nanos());
    assertThat(decided.granted).extracting(Lease::first).containsExactly(100L, 500L, 300L);
  }

  @Test
  void nothingIsGrantedOutsideTheSpaceOrInAnother() {
    Planner planner = planner(100, 100, 10);
    Forecast forecast = expected(998, 10, 0.9);
    forecast.add(Resource.of(5, 3), 0.9, clock.nanos(), Expert.MARKOV);
    planner.plan(BOUND, forecast, clock.nanos());
    assertThat(decided.granted).hasSize(1);
    assertThat(decided.granted.getFirst().first()).isEqualTo(998);
    assertThat(decided.granted.getFirst().units()).isEqualTo(2);
  }

  @Test
  void capacitySmallerThanARangeIsUsedInPart() {
    Planner planner = planner(10, 100, 10);
    planner.plan(BOUND, expected(0, 16, 0.9), clock.nanos());
    assertThat(decided.granted).extracting(Lease::units).containsExactly(10);
    assertThat(decided.queued).containsExactly(6);
    assertThat(decided.unavailable).containsExactly("11 10 capacity");
  }

  @Test
  void aLimitOnWhatIsInFlightMayBeAsLargeAsAnyNumber() {
    Planner planner = planner(100, Integer.MAX_VALUE, 10);
    planner.plan(BOUND, expected(0, 16, 0.9), clock.nanos());
    assertThat(decided.granted).extracting(Lease::units).containsExactly(16);
    assertThat(planner.inFlightUnits()).isEqualTo(16);
  }

  @Test
  void whatWaitsIsAdmittedWithinBothLimitsWhenCapacityReturns() {
    Planner planner = planner(16, 4, 10);
    Forecast forecast = expected(0, 40, 0.9);
    assertThat(planner.plan(BOUND, forecast, clock.nanos())).isTrue();
    for (int i = 0; i < 4; i++) {
      planner.book(ready(decided.granted.getLast()), 0);
      planner.plan(BOUND, forecast, clock.nanos());
    }
    assertThat(planner.stagedBytes()).isEqualTo(16L * Shape.BLOCK_BYTES);
    assertThat(planner.waitingRanges()).isEqualTo(2);
    decided.granted.stream().limit(2).toList().forEach(lease -> planner.book(useful(lease), 0));
    planner.admitWaiting(clock.nanos());
    assertThat(planner.inFlightUnits()).isEqualTo(4);
    assertThat(decided.granted.getLast().first()).isEqualTo(16);
    assertThat(decided.granted.getLast().units()).isEqualTo(4);
  }

  @Test
  void whatCameByDemandWhileItWaitedIsNotStaged() {
    Planner planner = planner(2, 100, 10);
    planner.plan(BOUND, expected(0, 6, 0.9), clock.nanos());
    planner.demanded(0, Resource.of(0, 2));
    planner.demanded(0, Resource.of(0, 3));
    planner.book(useful(decided.granted.getFirst()), 0);
    planner.admitWaiting(clock.nanos());
    assertThat(decided.granted.getLast().first()).isEqualTo(4);
    assertThat(planner.waitingRanges()).isZero();
  }

  @Test
  void fullQueueIsSaidOnceAndNotWithEachForecast() {
    Planner planner = planner(1, 100, 1);
    for (int i = 0; i < 50; i++) {
      planner.plan(BOUND, expected(100, 200, 0.9), clock.nanos());
    }
    assertThat(planner.waitingRanges()).isEqualTo(1);
    assertThat(decided.unavailable).hasSize(2);
  }

  @Test
  void whatWaitedBeyondTheHorizonIsDropped() {
    Planner planner = planner(1, 100, 10);
    planner.plan(BOUND, expected(0, 9, 0.9), clock.nanos());
    clock.advance(Duration.ofSeconds(31));
    planner.admitWaiting(clock.nanos());
    assertThat(planner.waitingRanges()).isZero();
    assertThat(decided.unavailable).containsExactly("11 1 capacity", "11 1 stale");
  }

  @Test
  void leaseUnusedForItsPeriodIsAskedBackOnce() {
    Planner planner = planner(100, 100, 10);
    planner.plan(BOUND, expected(0, 4, 0.9), clock.nanos());
    Lease lease = decided.granted.getFirst();
    planner.book(ready(lease), 0);
    clock.advance(Duration.ofSeconds(60));
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack).isEmpty();
    clock.advance(Duration.ofMillis(11));
    planner.askBackUnused(clock.nanos());
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack).containsExactly(lease);
    planner.book(new LeaseState(lease.id(), 15, 0, 0, 15, 0, 0, 0, 0), 0);
    assertThat(planner.stagedBytes()).isZero();
  }

  @Test
  void leaseThatIsHeldStillAfterItWasAskedBackIsAskedBackAgain() {
    Planner planner = planner(100, 100, 10);
    planner.plan(BOUND, expected(0, 4, 0.9), clock.nanos());
    Lease lease = decided.granted.getFirst();
    clock.advance(Duration.ofMinutes(2));
    planner.askBackUnused(clock.nanos());
    planner.held(lease, ready(lease), clock.nanos());
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack).containsExactly(lease, lease);
  }

  @Test
  void unitThatFailedRestsBeforeItIsTriedAgain() {
    Planner planner = planner(100, 100, 10);
    planner.retryFailed(clock.nanos());
    Forecast forecast = expected(0, 4, 0.9);
    planner.plan(BOUND, forecast, clock.nanos());
    planner.book(failed(decided.granted.getFirst()), 0);
    planner.plan(BOUND, forecast, clock.nanos());
    assertThat(decided.granted).hasSize(1);
    clock.advance(Duration.ofSeconds(6));
    planner.retryFailed(clock.nanos());
    planner.plan(BOUND, forecast, clock.nanos());
    assertThat(decided.granted).hasSize(2);
  }

  @Test
  void redundantUnitIsNotAskedForAgain() {
    Planner planner = planner(100, 100, 10);
    Forecast forecast = expected(0, 4, 0.9);
    planner.plan(BOUND, forecast, clock.nanos());
    planner.book(new LeaseState(decided.granted.getFirst().id(), 0, 0, 0, 0, 15, 0, 0, 0), 0);
    planner.plan(BOUND, forecast, clock.nanos());
    assertThat(decided.granted).hasSize(1);
  }

  @Test
  void contentThatNobodyIsBoundToIsUnknownAndTakesItsTime() {
    Planner planner = planner(100, 100, 10);
    BitSet all = new BitSet();
    all.set(0, 1000);
    planner.resident(0, all);
    Forecast forecast = expected(0, 4, 0.9);
    OnHost here = planner.onHost(VM.program(), SPACE.type(), forecast);
    assertThat(here).isEqualTo(new OnHost(4, 4, 4 * 65536, 4 * 65536, 0, 0));
    planner.close(DISK);
    OnHost unknown = planner.onHost(VM.program(), SPACE.type(), forecast);
    assertThat(unknown.unknown()).isEqualTo(4);
    assertThat(unknown.bytes()).isZero();
    assertThat(unknown.seconds()).isGreaterThan(0.01);
  }

  @Test
  void whatIsSaidToLeaveFromOutsideOfASpaceIsPassedOver() {
    Planner planner = planner(100, 100, 10);
    BitSet all = new BitSet();
    all.set(0, 1000);
    planner.resident(0, all);
    planner.evicted(0, Integer.MAX_VALUE, 10);
    planner.evicted(0, -5, 5);
    planner.evicted(0, -5, 6);
    planner.evicted(0, 999, Integer.MAX_VALUE);
    planner.plan(BOUND, expected(0, 1000, 0.9), clock.nanos());
    assertThat(decided.granted).extracting(Lease::first).containsExactly(0L, 999L);
  }

  @Test
  void aHeldLeaseBeyondTheEndOfItsSpaceIsAskedBack() {
    Planner planner = planner(100, 100, 10);
    Lease beyond = new Lease(7, DISK.id(), new Range(0, 996, 5), 0, 0.5f, 0, 0, 0);
    planner.held(beyond, LeaseState.granted(7), clock.nanos());
    assertThat(decided.askedBack).containsExactly(beyond);
    assertThat(planner.stagedBytes()).isZero();
  }

  @Test
  void aRequestGoesOnWhereRoomEnded() {
    Planner planner = planner(1000, 16, 10);
    Planner.Request request = planner.request(BOUND, expected(0, 40, 0.9));
    assertThat(request.plan(clock.nanos())).isTrue();
    assertThat(request.plan(clock.nanos())).as("no room").isTrue();
    assertThat(decided.granted).extracting(Lease::first).containsExactly(0L);
    planner.book(failed(decided.granted.getFirst()), clock.nanos());
    assertThat(request.plan(clock.nanos())).isTrue();
    planner.book(ready(decided.granted.getLast()), clock.nanos());
    assertThat(request.plan(clock.nanos())).isFalse();
    assertThat(decided.granted).extracting(Lease::first).containsExactly(0L, 16L, 32L);
    clock.advance(Duration.ofMinutes(1));
    planner.retryFailed(clock.nanos());
    request.again();
    assertThat(request.plan(clock.nanos())).isTrue();
    assertThat(decided.granted.getLast().first()).as("what failed is tried again").isZero();
  }

  @Test
  void evictedUnitMayBeStagedAgain() {
    Planner planner = planner(100, 100, 10);
    BitSet all = new BitSet();
    all.set(0, 1000);
    planner.resident(0, all);
    planner.plan(BOUND, expected(0, 4, 0.9), clock.nanos());
    assertThat(decided.granted).isEmpty();
    planner.evicted(0, 1, 2);
    planner.plan(BOUND, expected(0, 4, 0.9), clock.nanos());
    assertThat(decided.granted).hasSize(1);
    assertThat(decided.granted.getFirst().first()).isEqualTo(1);
    assertThat(decided.granted.getFirst().units()).isEqualTo(2);
  }

  @Test
  void oldReportTakesNothingBackAndContradictionIsRefused() {
    Planner planner = planner(100, 100, 10);
    planner.plan(BOUND, expected(0, 4, 0.9), clock.nanos());
    long id = decided.granted.getFirst().id();
    planner.book(new LeaseState(id, 3, 1, 0, 0, 0, 0, 0, 9), 0);
    planner.book(new LeaseState(id, 1, 0, 0, 0, 0, 0, 0, 0), 0);
    assertThat(planner.ledger().totals().useful()).isEqualTo(1);
    assertThat(planner.inFlightUnits()).isEqualTo(2);
    planner.book(new LeaseState(id, 3, 0, 1, 0, 0, 0, 0, 0), 0);
    assertThat(planner.ledger().totals().late()).isZero();
    assertThatThrownBy(() -> planner.book(new LeaseState(id, 3, 2, 2, 0, 0, 0, 0, 0), 0))
        .hasMessageContaining("two outcomes");
  }

  @Test
  void leaseHeldInAnUnknownSpaceIsAskedBack() {
    Planner planner = planner(100, 100, 10);
    Lease lease = new Lease(7, 11, new Range(3, 0, 4), 0, 1, 0, 0, 0);
    planner.held(lease, ready(lease), clock.nanos());
    assertThat(decided.askedBack).containsExactly(lease);
    assertThat(planner.ledger().totals().granted()).isZero();
  }

  @Test
  void stoppedVmHasNothingInFlightNorWaiting() {
    Planner planner = planner(4, 100, 10);
    planner.plan(BOUND, expected(0, 9, 0.9), clock.nanos());
    planner.callOff(BOUND);
    assertThat(decided.calledOff).containsExactlyElementsOf(decided.granted);
    assertThat(planner.waitingRanges()).isZero();
  }

  private Planner withBudget(double uselessPerDemand) {
    return planner(Thresholds.all(0.25), 100, 100, 10, uselessPerDemand);
  }

  private static void demand(Planner planner, int times) {
    for (int i = 0; i < times; i++) {
      planner.demanded(0, Resource.of(0, 900 + i));
    }
  }

  @Test
  void noMoreIsGrantedThanMayBeInVain() {
    Planner planner = withBudget(0.5);
    assertThat(planner.hasRoom()).isFalse();
    assertThat(planner.plan(BOUND, expected(0, 40, 0.9), clock.nanos())).isTrue();
    assertThat(decided.granted).isEmpty();
    demand(planner, 1);
    assertThat(planner.hasRoom()).as("half a unit").isFalse();
    demand(planner, 8);
    planner.plan(BOUND, expected(0, 40, 0.9), clock.nanos());
    assertThat(decided.granted).extracting(Lease::units).containsExactly(4);
    assertThat(planner.hasRoom()).isFalse();
  }

  @Test
  void theBudgetComesBackForWhatWasUsedOrNeverMoved() {
    for (LeaseState state :
        List.of(
            new LeaseState(100, 15, 15, 0, 0, 0, 0, 0, 1),
            new LeaseState(100, 0, 0, 0, 0, 15, 0, 0, 0),
            new LeaseState(100, 0, 0, 0, 0, 0, 15, 0, 0),
            new LeaseState(100, 0, 0, 0, 0, 0, 0, 15, 0))) {
      Planner planner = withBudget(1);
      demand(planner, 4);
      planner.plan(BOUND, expected(0, 4, 0.9), clock.nanos());
      assertThat(planner.hasRoom()).isFalse();
      planner.book(state, 0);
      assertThat(planner.ledger().uselessAtWorst()).isZero();
      assertThat(planner.hasRoom()).as("%s", state).isTrue();
    }
  }

  @Test
  void theBudgetIsSpentOnWhatCameLateOrWasGivenBackOrLost() {
    for (LeaseState state :
        List.of(
            new LeaseState(100, 0, 0, 15, 0, 0, 0, 0, 0),
            new LeaseState(100, 15, 0, 0, 15, 0, 0, 0, 0),
            new LeaseState(100, 15, 0, 0, 0, 0, 0, 0, 0))) {
      Planner planner = withBudget(1);
      demand(planner, 4);
      planner.plan(BOUND, expected(0, 4, 0.9), clock.nanos());
      planner.book(state, 0);
      planner.abandon(List.of(100L));
      assertThat(planner.ledger().totals().live()).isZero();
      assertThat(planner.ledger().uselessAtWorst()).isEqualTo(4);
      assertThat(planner.hasRoom()).as("%s", state).isFalse();
    }
  }

  @Test
  void whatWaitsIsAdmittedWithinTheBudget() {
    Planner planner = planner(Thresholds.all(0.25), 2, 100, 10, 1);
    demand(planner, 3);
    planner.plan(BOUND, expected(0, 9, 0.9), clock.nanos());
    assertThat(planner.waitingRanges()).isPositive();
    planner.book(new LeaseState(100, 3, 0, 0, 3, 0, 0, 0, 0), 0);
    planner.admitWaiting(clock.nanos());
    assertThat(decided.granted).extracting(Lease::units).containsExactly(2, 1);
  }

  @Test
  void demandBeyondTheEndOfASpaceIsHarmless() {
    Planner planner = withBudget(1);
    planner.demanded(0, Resource.of(0, 1L << 31));
    planner.demanded(0, Resource.of(0, (1L << 32) + 3));
    planner.plan(BOUND, expected(0, 4, 0.9), clock.nanos());
    assertThat(decided.granted.getFirst().units()).isEqualTo(2);
    assertThat(decided.granted.getFirst().first()).isZero();
  }

  @Test
  void leasesSayWhatWasForecastAndUntilWhenTheyAreHeld() {
    Planner planner = planner(100, 100, 10);
    planner.plan(BOUND, expected(5, 2, 0.75), clock.nanos());
    Lease lease = decided.granted.getFirst();
    assertThat(lease.binding()).isEqualTo(DISK.id());
    assertThat(lease.range()).isEqualTo(new Range(0, 5, 2));
    assertThat(lease.probability()).isEqualTo(0.75f);
    assertThat(lease.experts()).isEqualTo(Expert.RUN_SET.bit());
    assertThat(lease.untilNanos()).isEqualTo(lease.dueNanos() + Duration.ofMinutes(1).toNanos());
  }

  @Test
  void whatIsKnownOfASpaceGoesWithItsLastBindingAndItsLastLease() {
    Planner planner = planner(100, 100, 10);
    Binding other = new Binding(12, new Vm(2, "vm2", VM.program()), "data", SPACE);
    planner.open(other);
    planner.plan(BOUND, expected(0, 1, 0.9), clock.nanos());
    Lease lease = decided.granted.getFirst();
    planner.close(DISK);
    planner.plan(BOUND, expected(5, 1, 0.9), clock.nanos());
    assertThat(decided.granted).as("nothing for a binding that is gone").hasSize(1);
    planner.close(other);
    planner.demanded(0, Resource.of(0, 7));
    planner.open(DISK);
    planner.plan(BOUND, expected(7, 1, 0.9), clock.nanos());
    assertThat(decided.granted).as("a live lease keeps what is known").hasSize(1);
    planner.close(DISK);
    planner.book(useful(lease), 0);
    planner.open(DISK);
    planner.plan(BOUND, expected(7, 1, 0.9), clock.nanos());
    assertThat(decided.granted).hasSize(2);
  }

  /// A rate that is promised to one VM is none to another, takes no room for content, and does not
  /// wait behind content that is on its way.
  @Test
  void promisesOfARateAreKeptByBindingAndBesideContent() {
    Planner planner = planner(8, 8, 10);
    Space link =
        new Space(
            5,
            ResourceType.IO_BANDWIDTH,
            "default",
            "nas",
            new Shape(64_000_000, 1_000_000, Measure.BYTES_PER_SECOND, 64));
    Binding mine = new Binding(21, VM, "link", link);
    Binding others = new Binding(22, new Vm(2, "vm2", VM.program()), "link", link);
    planner.open(mine);
    planner.open(others);
    planner.plan(BOUND, expected(0, 8, 0.9), clock.nanos());
    assertThat(planner.inFlightUnits()).isEqualTo(8);
    Forecast levels = new Forecast();
    for (int level = 0; level < 8; level++) {
      levels.add(Resource.of(link.id(), level), 0.9, clock.nanos(), Expert.RUN_SET);
    }
    planner.plan(List.of(mine), levels, clock.nanos());
    Lease first = decided.granted.getLast();
    assertThat(first.binding()).isEqualTo(mine.id());
    assertThat(first.units()).isEqualTo(8);
    assertThat(planner.inFlightUnits()).isEqualTo(8);
    planner.demanded(others.id(), Resource.of(link.id(), 0));
    planner.plan(List.of(others), levels, clock.nanos());
    Lease second = decided.granted.getLast();
    assertThat(second.binding()).isEqualTo(others.id());
    assertThat(second.range()).isEqualTo(new Range(link.id(), 1, 7));
    planner.close(mine);
    planner.book(useful(first), 0);
    planner.open(mine);
    planner.plan(List.of(mine), levels, clock.nanos());
    assertThat(decided.granted.getLast().binding()).isEqualTo(mine.id());
    assertThat(planner.stagedBytes()).isEqualTo(8L * Shape.BLOCK_BYTES);
  }
}
