package dev.prestage.engine.allocate;

import static org.assertj.core.api.Assertions.assertThat;

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
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/// Who gets what when there is not enough for all: five VMs, of which the first three belong to one
/// tenant, and of these the first two run one program.
class FairSharesTest {
  private static final Program WEB = new Program(0, "blue", "web");
  private static final Program DB = new Program(1, "blue", "db");
  private static final Program MAIL = new Program(2, "green", "mail");
  private static final List<Binding> DISKS =
      IntStream.range(0, 5).mapToObj(FairSharesTest::disk).toList();
  private static final Binding MEMORY =
      new Binding(
          10,
          DISKS.getFirst().vm(),
          "memory",
          new Space(
              10,
              ResourceType.MEMORY_PAGE,
              "blue",
              "snapshot",
              new Shape(4096 * 1000, 4096, Measure.BYTES, 1)));

  private final SimulatedClock clock = new SimulatedClock();
  private final Recorded decided = new Recorded();

  private static Binding disk(int vm) {
    Program program = vm < 2 ? WEB : vm == 2 ? DB : MAIL;
    return new Binding(
        vm,
        new Vm(vm, "vm" + vm, program),
        "disk0",
        new Space(
            vm,
            ResourceType.FILE_BLOCK,
            program.tenant(),
            "image" + vm,
            Shape.blocks(1000L * Shape.BLOCK_BYTES)));
  }

  /// @param units of 64 KiB that leases may hold
  private Planner planner(long units, int waiting, Quotas quotas) {
    return planner(units, waiting, quotas, Duration.ofMinutes(1));
  }

  private Planner planner(long units, int waiting, Quotas quotas, Duration memoryPeriod) {
    Planner planner =
        new Planner(
            Thresholds.all(0.25),
            new Limits(
                units * Shape.BLOCK_BYTES,
                quotas,
                1000,
                Duration.ofSeconds(30),
                Duration.ofMinutes(10),
                Map.of(ResourceType.MEMORY_PAGE, memoryPeriod),
                waiting,
                Double.POSITIVE_INFINITY),
            decided,
            (_, _, _, _) -> {},
            100);
    DISKS.forEach(planner::open);
    planner.open(MEMORY);
    return planner;
  }

  private static long units(long units) {
    return units * Shape.BLOCK_BYTES;
  }

  private void plan(Planner planner, Binding binding, long first, int units) {
    plan(planner, binding, first, units, 0.9, 0);
  }

  private void plan(
      Planner planner, Binding binding, long first, int units, double probability, int seconds) {
    Forecast forecast = new Forecast();
    for (int i = 0; i < units; i++) {
      forecast.add(
          Resource.of(binding.space().id(), first + i),
          probability,
          clock.nanos() + Duration.ofSeconds(seconds).toNanos(),
          Expert.RUN_SET);
    }
    planner.plan(List.of(binding), forecast, clock.nanos());
  }

  private void isReady(Planner planner, Lease lease) {
    planner.book(new LeaseState(lease.id(), lease.mask(), 0, 0, 0, 0, 0, 0, 0), clock.nanos());
  }

  private void isUsed(Planner planner, Lease lease) {
    planner.book(
        new LeaseState(lease.id(), lease.mask(), lease.mask(), 0, 0, 0, 0, 0, 1), clock.nanos());
  }

  @Test
  void aVmHoldsNoMoreThanItsQuotaWhileThereIsRoomForOthers() {
    Planner planner = planner(100, 10, new Quotas(units(100), units(100), units(5)));
    plan(planner, DISKS.get(0), 0, 9);
    plan(planner, DISKS.get(1), 0, 3);
    assertThat(decided.granted).extracting(Lease::units).containsExactly(5, 3);
    assertThat(decided.unavailable).containsExactly("0 5 quota");
    isUsed(planner, decided.granted.getFirst());
    planner.admitWaiting(clock.nanos());
    assertThat(decided.granted).extracting(Lease::units).containsExactly(5, 3, 4);
    assertThat(planner.stagedBytes()).isEqualTo(units(7));
  }

  @Test
  void theVmsOfAProgramAndTheProgramsOfATenantShareItsQuota() {
    Planner planner = planner(100, 10, new Quotas(units(9), units(6), units(100)));
    plan(planner, DISKS.get(0), 0, 4);
    plan(planner, DISKS.get(1), 0, 4);
    plan(planner, DISKS.get(2), 0, 6);
    plan(planner, DISKS.get(3), 0, 6);
    assertThat(decided.granted).extracting(Lease::units).containsExactly(4, 2, 3, 6);
  }

  @Test
  void whatWaitsForItsOwnQuotaKeepsNobodyElseWaiting() {
    Planner planner = planner(20, 10, new Quotas(units(20), units(20), units(4)));
    plan(planner, DISKS.get(0), 0, 8);
    plan(planner, DISKS.get(1), 0, 3);
    plan(planner, DISKS.get(1), 50, 1);
    for (int vm = 2; vm < 5; vm++) {
      plan(planner, DISKS.get(vm), 0, 4);
    }
    plan(planner, DISKS.get(1), 100, 1);
    plan(planner, DISKS.get(2), 100, 1);
    isUsed(planner, decided.granted.get(1));
    planner.admitWaiting(clock.nanos());
    // The turn is of the third VM, whose program holds less, but it may have no more.
    assertThat(decided.bindings()).containsExactly(0, 1, 1, 2, 3, 4, 1);
  }

  @Test
  void adoptedLeasesCountEvenBeyondTheQuota() {
    Planner planner = planner(100, 10, new Quotas(units(100), units(100), units(2)));
    Lease lease = new Lease(7, 0, new Range(0, 0, 4), 0, 0.5f, 0, 0, 0);
    planner.held(lease, LeaseState.granted(7), clock.nanos());
    plan(planner, DISKS.get(0), 10, 1);
    assertThat(decided.granted).isEmpty();
    planner.abandon(List.of(7L));
    planner.admitWaiting(clock.nanos());
    assertThat(decided.granted).hasSize(1);
  }

  @Test
  void theTurnIsOfWhoHoldsLeast() {
    Planner planner = planner(16, 100, Quotas.NONE);
    // Blue holds ten units by two VMs of one program and one of another, green two by two VMs.
    plan(planner, DISKS.get(0), 0, 5);
    plan(planner, DISKS.get(1), 0, 3);
    plan(planner, DISKS.get(2), 0, 2);
    plan(planner, DISKS.get(3), 0, 2);
    plan(planner, DISKS.get(4), 0, 4);
    for (Binding disk : DISKS) {
      plan(planner, disk, 100, 1);
      plan(planner, disk, 200, 1);
    }
    List<Lease> held = List.copyOf(decided.granted);
    decided.granted.clear();
    // Green holds six, and two of these are given back.
    isUsed(planner, held.get(3));
    planner.admitWaiting(clock.nanos());
    assertThat(decided.bindings()).as("the VM that holds nothing").containsExactly(3, 3);
    // Green holds six again. Seven of blue's ten go: what is left is the second VM's.
    decided.granted.clear();
    isUsed(planner, held.get(0));
    isUsed(planner, held.get(2));
    planner.admitWaiting(clock.nanos());
    assertThat(decided.bindings())
        .as("the other program first, then the VM with less, then tenants in turn")
        .containsExactly(2, 2, 0, 0, 4, 1, 4);
  }

  @Test
  void aFullQueueGivesPlaceToWhoHasLessInIt() {
    Planner planner = planner(16, 4, Quotas.NONE);
    plan(planner, DISKS.get(0), 0, 16);
    for (int i = 0; i < 4; i++) {
      plan(planner, DISKS.get(0), 100 + 10 * i, 1, 0.9, i);
    }
    decided.unavailable.clear();
    plan(planner, DISKS.get(3), 0, 1);
    assertThat(decided.unavailable)
        .as("what is due last of the greediest leaves")
        .containsExactly("0 130 capacity", "3 0 capacity");
    plan(planner, DISKS.get(3), 10, 1);
    assertThat(planner.waitingRanges()).isEqualTo(4);
    decided.unavailable.clear();
    plan(planner, DISKS.get(3), 20, 1);
    assertThat(decided.unavailable).as("two and two").containsExactly("3 20 capacity");
    decided.granted.clear();
    isUsed(planner, planner.ledger().live().iterator().next().lease());
    planner.admitWaiting(clock.nanos());
    assertThat(decided.bindings()).containsExactlyInAnyOrder(0, 0, 3, 3);
  }

  @Test
  void whoHasLeastOnItsWayIsFirst() {
    Planner planner = planner(1000, 10, Quotas.NONE);
    plan(planner, DISKS.get(0), 0, 3);
    plan(planner, DISKS.get(3), 0, 1);
    List<Binding> turns = new ArrayList<>(DISKS);
    turns.sort(planner.turns());
    assertThat(turns).extracting(Binding::id).containsExactly(4, 3, 2, 1, 0);
    isReady(planner, decided.granted.getFirst());
    turns.sort(planner.turns());
    assertThat(turns).extracting(Binding::id).containsExactly(2, 1, 0, 4, 3);
  }

  @Test
  void whileOthersWaitTheLeastUsefulIsAskedBackEarly() {
    Planner planner = planner(64, 10, Quotas.NONE);
    plan(planner, DISKS.get(0), 0, 16, 0.5, 0);
    plan(planner, DISKS.get(0), 100, 16, 0.3, 0);
    plan(planner, DISKS.get(0), 200, 16, 0.9, 0);
    plan(planner, DISKS.get(0), 300, 16, 0.3, 120);
    decided.granted.forEach(lease -> isReady(planner, lease));
    clock.advance(Duration.ofSeconds(40));
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack).as("nobody waits").isEmpty();
    plan(planner, DISKS.get(3), 0, 16);
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack)
        .as("overdue, and the least likely")
        .extracting(Lease::first)
        .containsExactly(100L);
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack).as("that is on its way back").hasSize(1);
  }

  @Test
  void whatWaitsForItsOwnQuotaAsksNobodyElsesBack() {
    Planner planner = planner(16, 10, new Quotas(units(16), units(16), units(8)));
    plan(planner, DISKS.get(0), 0, 8);
    plan(planner, DISKS.get(3), 0, 8);
    decided.granted.forEach(lease -> isReady(planner, lease));
    clock.advance(Duration.ofSeconds(40));
    plan(planner, DISKS.get(0), 100, 8);
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack).isEmpty();
  }

  @Test
  void whatWaitedTooLongAsksNothingBack() {
    Planner planner = planner(16, 10, Quotas.NONE);
    plan(planner, DISKS.get(0), 0, 16);
    plan(planner, DISKS.get(3), 0, 16);
    isReady(planner, decided.granted.getFirst());
    clock.advance(Duration.ofSeconds(40));
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack).isEmpty();
    assertThat(decided.unavailable).contains("3 0 stale");
  }

  @Test
  void whatHoldsNoBytesIsNotAskedBackForThem() {
    Planner planner = planner(16, 10, Quotas.NONE);
    Binding upstream =
        new Binding(
            20,
            DISKS.getFirst().vm(),
            "db",
            new Space(
                20,
                ResourceType.NETWORK_CONNECTION,
                "blue",
                "db",
                new Shape(8, 1, Measure.CONNECTIONS, 8)));
    planner.open(upstream);
    plan(planner, upstream, 0, 1, 0.3, 0);
    plan(planner, DISKS.get(0), 0, 16);
    decided.granted.forEach(lease -> isReady(planner, lease));
    assertThat(planner.stagedBytes()).isEqualTo(units(16));
    clock.advance(Duration.ofSeconds(40));
    plan(planner, DISKS.get(3), 0, 16);
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack).extracting(Lease::binding).containsExactly(0);
  }

  @Test
  void whatIsOverdueForLessThanOthersMayWaitStays() {
    Planner planner = planner(16, 10, Quotas.NONE);
    plan(planner, DISKS.get(0), 0, 16);
    isReady(planner, decided.granted.getFirst());
    clock.advance(Duration.ofSeconds(20));
    plan(planner, DISKS.get(3), 0, 16);
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack).isEmpty();
  }

  @Test
  void aShortPeriodOfOneTypeHastensNoOther() {
    Planner planner = planner(16, 10, Quotas.NONE, Duration.ofSeconds(5));
    plan(planner, DISKS.get(0), 0, 16);
    isReady(planner, decided.granted.getFirst());
    clock.advance(Duration.ofSeconds(10));
    plan(planner, DISKS.get(3), 0, 16);
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack).isEmpty();
  }

  @Test
  void eachTypeIsAskedBackAfterItsOwnPeriod() {
    Planner planner = planner(100, 10, Quotas.NONE);
    plan(planner, DISKS.get(0), 0, 4);
    plan(planner, MEMORY, 0, 4);
    decided.granted.forEach(lease -> isReady(planner, lease));
    clock.advance(Duration.ofSeconds(61));
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack).extracting(Lease::binding).containsExactly(MEMORY.id());
    clock.advance(Duration.ofMinutes(10));
    planner.askBackUnused(clock.nanos());
    assertThat(decided.askedBack).extracting(Lease::binding).containsExactly(MEMORY.id(), 0);
  }

  @Test
  void aVmThatComesBackStartsWithWhatIsStillLeasedForItsProgram() {
    Planner planner = planner(100, 10, new Quotas(units(100), units(4), units(4)));
    plan(planner, DISKS.get(0), 0, 4);
    DISKS.subList(0, 2).forEach(planner::close);
    DISKS.subList(0, 2).forEach(planner::open);
    plan(planner, DISKS.get(1), 0, 1);
    assertThat(decided.unavailable).containsExactly("1 0 quota");
    isUsed(planner, decided.granted.getFirst());
    planner.admitWaiting(clock.nanos());
    assertThat(decided.bindings()).containsExactly(0, 1);
  }
}
