package dev.prestage.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.allocate.ControlStarts;
import dev.prestage.engine.allocate.LeaseLedger;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.ExpertScores;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.stage.Notice;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class EngineTest {
  private static final long SEED = 20261122;
  private static final Duration THINK = Duration.ofMillis(1);
  private static final Space IMAGE =
      new Space(
          0, ResourceType.FILE_BLOCK, "default", "debian", Shape.blocks(4096L * Shape.BLOCK_BYTES));
  private static final Program WEB = new Program(0, "default", "web");
  private static final Vm VM = new Vm(1, "vm1", WEB);
  private static final Binding DISK = new Binding(11, VM, "disk0", IMAGE);

  private final SimulatedHost host = new SimulatedHost(Limits.DEFAULT);

  EngineTest() {
    host.engine.bound(DISK);
  }

  /// A made-up program: files that are read from their start on, in an order of its own; each run
  /// leaves out a few.
  private static List<Long> program(int run) {
    Random places = new Random(SEED);
    Random variation = new Random(SEED + run);
    List<Long> touches = new ArrayList<>();
    for (int file = 0; file < 80; file++) {
      long first = places.nextInt(4000);
      int units = 1 + places.nextInt(10);
      boolean leftOut = variation.nextInt(15) == 0;
      for (int i = 0; i < units && !leftOut; i++) {
        touches.add(first + i);
      }
    }
    return touches;
  }

  private int run(int number) {
    return run(number, THINK);
  }

  private int run(int number, Duration think) {
    host.engine.started(VM.id());
    int waits = host.touch(DISK, program(number), think);
    host.engine.stopped(VM.id());
    host.pass(Duration.ofSeconds(5));
    return waits;
  }

  private Engine.AllocationState allocate() {
    return Objects.requireNonNull(host.engine.allocate(VM.id()));
  }

  private void assertAccount() {
    LeaseLedger.Totals totals = host.engine.ledger().totals();
    assertThat(totals.granted())
        .isEqualTo(
            totals.live()
                + totals.useful()
                + totals.late()
                + totals.unused()
                + totals.redundant()
                + totals.failed()
                + totals.cancelled()
                + totals.unobserved());
  }

  @Test
  void secondRunWaitsForLittleButWhatTheFirstDidNotTouch() {
    int first = run(1);
    host.forgetBytes();
    int second = run(2);
    assertThat(first).as("seed %d", SEED).isGreaterThan(50);
    Set<Long> unseen = new HashSet<>(program(2));
    unseen.removeAll(program(1));
    assertThat(second).as("seed %d, first %d", SEED, first).isLessThanOrEqualTo(unseen.size() + 5);
    assertThat(host.engine.ledger().totals().useful()).isGreaterThan(250);
    assertAccount();
  }

  @Test
  void aGuestThatIsMuchFasterThanItsTeacherDoesNotOutrunTheHorizon() {
    int slow = run(1, Duration.ofMillis(500));
    host.forgetBytes();
    int fast = run(1, Duration.ofMillis(1));
    assertThat(slow).isGreaterThan(50);
    assertThat(fast).as("seed %d, slow %d", SEED, slow).isLessThan(10);
    assertAccount();
  }

  @Test
  void unknownProgramGetsNothingButSequentialStaging() {
    host.engine.started(VM.id());
    host.pass(Duration.ofSeconds(1));
    assertThat(host.staged).isEmpty();
    host.touch(DISK, List.of(10L, 11L, 12L), THINK);
    assertThat(host.staged)
        .isNotEmpty()
        .allSatisfy(lease -> assertThat(lease.first()).isBetween(11L, 12L + 32));
    Forecast forecast = new Forecast();
    host.engine.expect(VM.id(), forecast);
    for (int row = 0; row < forecast.size(); row++) {
      assertThat(forecast.experts(row) & ~Expert.SEQUENTIAL.bit()).isZero();
    }
  }

  @Test
  void switchedOffItGrantsNothingAndStillLearns() {
    host.engine.predicting(false);
    int first = run(1);
    host.forgetBytes();
    int second = run(1);
    assertThat(second).isEqualTo(first);
    assertThat(host.staged).isEmpty();
    assertThat(host.of(WEB, ResourceType.FILE_BLOCK).runs()).isEqualTo(2);
    host.forgetBytes();
    host.engine.predicting(true);
    assertThat(run(1)).isLessThan(first / 8);
  }

  @Test
  void aControlStartIsLeftWithoutStagingUnlessItWasAllocated() {
    boolean[] drawn = {false};
    host.engine.compareWith(new ControlStarts(.05, () -> drawn[0] ? 0 : 1));
    for (int number = 0; number < 11; number++) {
      run(1);
      host.forgetBytes();
    }
    int staged = run(1);
    drawn[0] = true;
    host.forgetBytes();
    host.staged.clear();
    int control = run(1);
    assertThat(host.staged).isEmpty();
    assertThat(control).isGreaterThan(8 * staged);
    host.forgetBytes();
    allocate();
    run(1);
    assertThat(host.staged).isNotEmpty();
    assertThat(host.engine.comparisons())
        .singleElement()
        .satisfies(comparison -> {
          assertThat(comparison.controls()).isEqualTo(1);
          assertThat(comparison.staged()).isEqualTo(2);
          assertThat(comparison.savedSeconds()).isPositive();
        });
  }

  @Test
  void stoppedVmHasWhatIsInFlightCalledOff() {
    run(1);
    host.forgetBytes();
    host.engine.started(VM.id());
    assertThat(host.engine.inFlightUnits()).isPositive();
    host.engine.stopped(VM.id());
    assertThat(host.cancelled).isNotEmpty();
    host.pass(Duration.ofMillis(50));
    assertThat(host.engine.inFlightUnits()).isZero();
    assertAccount();
  }

  @Test
  void allocationAheadOfTheStartBecomesAvailableAndIsSaidOnce() {
    run(1);
    host.forgetBytes();
    Engine.AllocationState asked = allocate();
    assertThat(asked.planned()).isGreaterThan(250);
    assertThat(asked.settled()).isFalse();
    host.pass(Duration.ofSeconds(20));
    assertThat(host.told(Notice.Available.class))
        .singleElement()
        .satisfies(notice -> {
          assertThat(notice.allocation()).isEqualTo(asked.id());
          assertThat(notice.units()).isEqualTo(asked.planned());
        });
    assertThat(run(1)).isZero();
  }

  @Test
  void whatAnAllocationAsksForIsSaidAndItCanBeTakenBack() {
    run(1);
    host.forgetBytes();
    Engine.AllocationState state = allocate();
    Notice.Planned planned =
        host.notices.stream()
            .filter(Notice.Planned.class::isInstance)
            .map(Notice.Planned.class::cast)
            .findFirst()
            .orElseThrow();
    assertThat(planned.allocation()).isEqualTo(state.id());
    assertThat(planned.units()).isEqualTo(state.planned()).isPositive();
    assertThat(planned.bytes()).isEqualTo((long) planned.units() * Shape.BLOCK_BYTES);
    assertThat(planned.probability()).isBetween(.25, 1.0);
    assertThat(host.engine.release(state.id())).isTrue();
    assertThat(host.engine.release(state.id())).isFalse();
    assertThat(host.engine.allocation(state.id())).isNull();
    host.pass(Duration.ofMinutes(1));
    assertThat(host.engine.inFlightUnits()).isZero();
    assertThat(host.engine.ledger().totals().cancelled()).isPositive();
    assertAccount();
  }

  @Test
  void whatAnotherVmsAllocationWaitedForIsAskedForAgainWhenItIsCalledOff() {
    run(1);
    host.forgetBytes();
    Vm other = new Vm(VM.id() + 1, "vm2", WEB);
    host.engine.bound(new Binding(DISK.id() + 1, other, DISK.as(), DISK.space()));
    Engine.AllocationState first = allocate();
    Engine.AllocationState second = Objects.requireNonNull(host.engine.allocate(other.id()));
    assertThat(host.engine.release(first.id())).isTrue();
    host.pass(Duration.ofMinutes(5));
    Engine.AllocationState after = Objects.requireNonNull(host.engine.allocation(second.id()));
    assertThat(after.ready()).isEqualTo(after.planned()).isPositive();
    assertAccount();
  }

  @Test
  void startDoesNotCallOffWhatWasAllocatedAheadOfIt() {
    run(1);
    host.forgetBytes();
    Engine.AllocationState asked = allocate();
    host.pass(Duration.ofMillis(5));
    host.cancelled.clear();
    host.engine.started(VM.id());
    assertThat(host.cancelled).isEmpty();
    host.pass(Duration.ofSeconds(5));
    assertThat(host.engine.allocation(asked.id()))
        .isNotNull()
        .satisfies(state -> assertThat(state.ready()).isEqualTo(asked.planned()));
    assertThat(host.told(Notice.Available.class)).hasSize(1);
  }

  @Test
  void allocationGoesOnAfterTheStagerWasReplaced() {
    run(1);
    host.forgetBytes();
    Engine.AllocationState asked = allocate();
    host.pass(Duration.ofMillis(5));
    host.replaceStager();
    host.pass(Duration.ofSeconds(1));
    assertThat(host.told(Notice.Available.class)).isEmpty();
    host.connect(false);
    host.pass(Duration.ofSeconds(5));
    assertThat(host.told(Notice.Available.class))
        .singleElement()
        .satisfies(notice -> assertThat(notice.units()).isEqualTo(asked.planned()));
    assertAccount();
  }

  @Test
  void newAllocationReplacesTheOneBefore() {
    Engine.AllocationState first = allocate();
    Engine.AllocationState second = allocate();
    assertThat(host.engine.allocation(first.id())).isNull();
    assertThat(host.engine.allocation(second.id())).isNotNull();
    assertThat(host.engine.allocate(99)).isNull();
  }

  @Test
  void nothingIsGrantedWhileDisconnectedUntilConfirmed() {
    run(1);
    host.forgetBytes();
    host.engine.disconnected();
    int before = host.staged.size();
    host.engine.started(VM.id());
    host.touch(DISK, program(1).subList(0, 20), THINK);
    host.engine.reconnected(true);
    host.pass(Duration.ofSeconds(1));
    assertThat(host.staged).hasSize(before);
    host.engine.confirmed();
    host.engine.planTouched();
    assertThat(host.staged.size()).isGreaterThan(before);
  }

  @Test
  void leaseThatTheStagerDoesNotNameHasEndedUnseen() {
    run(1);
    host.forgetBytes();
    host.engine.started(VM.id());
    host.pass(Duration.ofMillis(15));
    long live = host.engine.ledger().totals().live();
    assertThat(live).isPositive();
    host.engine.disconnected();
    host.engine.reconnected(true);
    assertThat(host.engine.ledger().totals().live()).isEqualTo(live);
    host.engine.predicting(false);
    host.engine.confirmed();
    assertThat(host.engine.ledger().totals().live()).isZero();
    assertThat(host.engine.stagedBytes()).isZero();
    assertAccount();
  }

  @Test
  void switchedOffItCallsOffWhatIsOnItsWay() {
    run(1);
    host.forgetBytes();
    host.engine.started(VM.id());
    assertThat(host.engine.inFlightUnits()).isPositive();
    host.engine.predicting(false);
    host.pass(Duration.ofMillis(15));
    assertThat(host.engine.inFlightUnits()).isZero();
    assertAccount();
  }

  @Test
  void unusedUnitsAreGivenBackAfterTheirPeriodAndSaidToBe() {
    run(1);
    host.forgetBytes();
    host.engine.allocate(VM.id());
    host.pass(Duration.ofSeconds(5));
    assertThat(host.engine.stagedBytes()).isPositive();
    host.pass(Limits.DEFAULT.reclaimAfter().plusSeconds(5));
    assertThat(host.engine.stagedBytes()).isZero();
    assertThat(host.told(Notice.Reclaimed.class)).isNotEmpty();
    assertThat(host.resident.isEmpty()).isTrue();
    assertAccount();
  }

  @Test
  void firstTouchBeginsARunAndTheTailOfAStoppedOneDoesNot() {
    host.touch(DISK, List.of(5L), THINK);
    assertThat(host.engine.isRunning(VM.id())).isTrue();
    host.engine.stopped(VM.id());
    host.touch(DISK, List.of(6L, 7L), THINK);
    assertThat(host.engine.isRunning(VM.id())).isFalse();
    host.pass(Duration.ofSeconds(2));
    host.touch(DISK, List.of(8L), THINK);
    assertThat(host.engine.isRunning(VM.id())).isTrue();
    host.engine.detached(VM.id());
    assertThat(host.of(WEB, ResourceType.FILE_BLOCK).runs()).isEqualTo(2);
  }

  @Test
  void capacityIsSharedByCopiesAndComesBack() {
    SimulatedHost small =
        new SimulatedHost(
            new Limits(
                64L * Shape.BLOCK_BYTES,
                32,
                Duration.ofSeconds(30),
                Duration.ofSeconds(60),
                16,
                Double.POSITIVE_INFINITY));
    Vm other = new Vm(2, "vm2", WEB);
    Binding otherDisk = new Binding(12, other, "disk0", IMAGE);
    small.engine.bound(DISK);
    small.engine.bound(otherDisk);
    small.engine.started(VM.id());
    small.touch(DISK, program(1), THINK);
    small.engine.stopped(VM.id());
    small.pass(Duration.ofMinutes(2));
    small.forgetBytes();
    small.engine.started(VM.id());
    small.engine.started(other.id());
    small.pass(Duration.ofSeconds(1));
    assertThat(small.engine.stagedBytes()).isEqualTo(64L * Shape.BLOCK_BYTES);
    assertThat(small.engine.waitingRanges()).isPositive();
    assertThat(small.told(Notice.Queued.class)).isNotEmpty();
    assertThat(small.touch(otherDisk, program(1), THINK)).isLessThan(program(1).size() / 2);
    small.engine.detached(VM.id());
    small.engine.detached(other.id());
    small.pass(Duration.ofMinutes(3));
    assertThat(small.engine.stagedBytes()).isZero();
    assertThat(small.engine.waitingRanges()).isZero();
  }

  @Test
  void twoVmsShareWhatMayBeOnItsWay() {
    SimulatedHost narrow =
        new SimulatedHost(
            new Limits(
                1L << 30,
                32,
                Duration.ofSeconds(30),
                Duration.ofSeconds(60),
                16,
                Double.POSITIVE_INFINITY));
    Vm other = new Vm(2, "vm2", new Program(1, "default", "db"));
    Space image = new Space(1, ResourceType.FILE_BLOCK, "default", "fedora", IMAGE.shape());
    Binding otherDisk = new Binding(12, other, "disk0", image);
    for (Binding disk : List.of(DISK, otherDisk)) {
      narrow.engine.bound(disk);
      narrow.engine.started(disk.vm().id());
      narrow.touch(disk, program(1), THINK);
      narrow.engine.stopped(disk.vm().id());
    }
    narrow.pass(Duration.ofMinutes(2));
    narrow.forgetBytes();
    narrow.staged.clear();
    narrow.engine.started(VM.id());
    assertThat(narrow.engine.inFlightUnits()).as("one takes all").isEqualTo(32);
    narrow.engine.started(other.id());
    narrow.pass(Duration.ofMillis(60));
    Map<Integer, Integer> units = new HashMap<>();
    narrow.staged.forEach(lease -> units.merge(lease.binding(), lease.units(), Integer::sum));
    assertThat(units.get(12)).as("%s", units).isBetween(units.get(11) / 2, units.get(11));
  }

  private Forecast next() {
    Forecast forecast = new Forecast();
    host.engine.next(VM.id(), forecast);
    return forecast;
  }

  @Test
  void theNextTouchIsForetoldOnlyWhileACopyRuns() {
    assertThat(next().size()).isZero();
    host.engine.started(VM.id());
    assertThat(next().size()).isZero();
    for (int i = 0; i < 20; i++) {
      host.touch(DISK, List.of(10L, 500L), THINK);
    }
    host.touch(DISK, List.of(10L), THINK);
    Forecast forecast = next();
    assertThat(forecast.probability(forecast.row(500))).isBetween(.9, 1.0);
    int size = forecast.size();
    host.engine.next(99, forecast);
    assertThat(forecast.size()).isEqualTo(size);
    host.engine.stopped(VM.id());
    assertThat(next().size()).isZero();
  }

  @Test
  void whereNothingFollowedBeforeTheNextTouchIsTheNextUnit() {
    host.engine.started(VM.id());
    host.touch(DISK, List.of(10L, 11L, 12L), THINK);
    Forecast forecast = next();
    int next = forecast.row(13);
    assertThat(forecast.probability(next)).isBetween(0.5, 1.0);
    assertThat(forecast.experts(next)).isEqualTo(Expert.SEQUENTIAL.bit());
  }

  @Test
  void twoDisksOfAVmAreOneRunAndBothArePredicted() {
    Space data =
        new Space(
            1, ResourceType.FILE_BLOCK, "default", "data", Shape.blocks(1000L * Shape.BLOCK_BYTES));
    Binding second = new Binding(13, VM, "disk1", data);
    host.engine.bound(second);
    int[] waits = {0, 0};
    for (int run = 0; run < 2; run++) {
      host.engine.started(VM.id());
      for (long unit = 0; unit < 60; unit++) {
        waits[run] += host.touch(DISK, List.of(3 * unit), THINK);
        waits[run] += host.touch(second, List.of(900 - 7 * unit), THINK);
      }
      host.engine.stopped(VM.id());
      host.pass(Duration.ofSeconds(5));
      host.forgetBytes();
    }
    assertThat(host.of(WEB, ResourceType.FILE_BLOCK).runs()).isEqualTo(2);
    assertThat(host.of(WEB, ResourceType.FILE_BLOCK).resources()).isEqualTo(120);
    assertThat(waits[0]).isGreaterThan(50);
    assertThat(waits[1]).isLessThan(10);
    assertThat(host.staged).extracting(lease -> lease.binding()).contains(DISK.id(), second.id());
    assertAccount();
  }

  @Test
  void howUnitsEndedReachesTheForecasterAndEveryListener() {
    run(1);
    host.forgetBytes();
    run(2);
    host.engine.allocate(VM.id());
    host.pass(Limits.DEFAULT.reclaimAfter().plusSeconds(60));
    host.engine.detached(VM.id());
    LeaseLedger.Totals totals = host.engine.ledger().totals();
    assertThat(host.outcomes.get(Outcome.USEFUL)).isEqualTo((int) totals.useful());
    assertThat(host.outcomes.get(Outcome.UNUSED)).isEqualTo((int) totals.unused()).isPositive();
    ExpertScores scores = host.of(WEB, ResourceType.FILE_BLOCK).scores();
    long spoken = 0;
    long inVain = 0;
    for (Expert expert : Expert.values()) {
      spoken += scores.demanded(expert);
      inVain += scores.unused(expert);
    }
    assertThat(spoken).isGreaterThanOrEqualTo(totals.useful() + totals.late());
    assertThat(inVain).isGreaterThanOrEqualTo(totals.unused());
    assertThat(scores.demanded(Expert.RUN_SET)).isGreaterThan(250);
    assertThat(scores.demanded(Expert.PEER)).isZero();
  }
}
