package dev.prestage.engine.stage;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
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
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class DryRunTest {
  private static final long MILLI = 1_000_000;
  private static final Vm VM = new Vm(1, "vm", new Program(0, "default", "web"));
  private static final Vm OTHER = new Vm(2, "other", VM.program());
  private static final Space IMAGE =
      new Space(0, ResourceType.FILE_BLOCK, "default", "image", Shape.blocks(1 << 30));
  private static final Space LINK =
      new Space(
          1,
          ResourceType.IO_BANDWIDTH,
          "default",
          "link",
          new Shape(80_000_000, 8_000_000, Measure.BYTES_PER_SECOND, 10));
  private static final Map<Integer, Binding> BINDINGS =
      Map.of(
          10, new Binding(10, VM, "disk0", IMAGE),
          20, new Binding(20, OTHER, "disk0", IMAGE),
          11, new Binding(11, VM, "link", LINK),
          21, new Binding(21, OTHER, "link", LINK));

  private final SimulatedClock clock = new SimulatedClock();
  private final List<String> passedOn = new ArrayList<>();
  private final DryRun dry = new DryRun(new PassedOn(), clock, BINDINGS::get);

  private final class PassedOn implements Stager {
    @Override
    public void stage(Lease lease) {
      passedOn.add("stage " + lease.id());
    }

    @Override
    public void cancel(long leaseId) {
      passedOn.add("cancel " + leaseId);
    }

    @Override
    public void reclaim(long leaseId) {
      passedOn.add("reclaim " + leaseId);
    }
  }

  private void stage(long id, int binding, int space, int first, int units) {
    dry.stage(
        new Lease(
            id,
            binding,
            new Range(space, first, units),
            0,
            0.9f,
            0,
            clock.nanos(),
            Long.MAX_VALUE));
  }

  private boolean demand(int binding, int space, int index) {
    return dry.demanded(access(binding, space, index, true, Access.PENDING));
  }

  private Access access(int binding, int space, int index, boolean waited, long latencyNanos) {
    return new Access(
        binding,
        1,
        Resource.of(space, index),
        clock.nanos(),
        AccessType.READ,
        1,
        Cause.DEMAND,
        waited,
        latencyNanos);
  }

  private LeaseState only() {
    List<LeaseState> states = dry.takeChanged();
    assertThat(states).hasSize(1);
    return states.getFirst();
  }

  @Test
  void demandAfterTheFetchIsUsefulAndBeforeItLate() {
    stage(1, 10, 0, 5, 3);
    assertThat(dry.takeChanged()).isEmpty();
    clock.advance(Duration.ofMillis(9));
    assertThat(demand(20, 0, 6)).isFalse();
    assertThat(only().late()).isEqualTo(0b010);
    clock.advance(Duration.ofMillis(5));
    assertThat(only().ready()).isEqualTo(0b101);
    assertThat(demand(10, 0, 5)).isTrue();
    assertThat(demand(20, 0, 5)).as("whoever waits for it with the first one").isTrue();
    dry.answered(access(10, 0, 5, true, 2 * MILLI));
    assertThat(demand(10, 0, 5)).as("it was evicted since").isFalse();
    LeaseState state = only();
    assertThat(state.useful()).isEqualTo(0b001);
    assertThat(state.leadNanos()).isEqualTo(4 * MILLI);
    assertThat(state.isConsistent()).isTrue();
    assertThat(demand(10, 0, 7)).isTrue();
    assertThat(only().ended()).isEqualTo(0b111);
    dry.answered(access(10, 0, 7, true, 2 * MILLI));
    assertThat(demand(10, 0, 7)).isFalse();
    assertThat(dry.takeChanged()).as("it has ended").isEmpty();
    assertThat(passedOn).as("nothing is staged").isEmpty();
  }

  @Test
  void aFetchTakesWhatGuestsWaitFor() {
    for (int i = 0; i < 200; i++) {
      dry.answered(access(10, 0, 900, true, 100 * MILLI));
      dry.answered(access(10, 0, 900, false, MILLI));
    }
    stage(1, 10, 0, 0, 1);
    clock.advance(Duration.ofMillis(95));
    assertThat(dry.takeChanged()).isEmpty();
    clock.advance(Duration.ofMillis(6));
    assertThat(only().ready()).isEqualTo(1);
  }

  @Test
  void eachTypeTakesItsOwnTimeAndAPromiseNone() {
    for (int i = 0; i < 200; i++) {
      dry.answered(access(11, 1, 0, true, 500 * MILLI));
    }
    stage(1, 10, 0, 0, 1);
    stage(2, 11, 1, 0, 1);
    assertThat(only().leaseId()).isEqualTo(2);
    clock.advance(Duration.ofMillis(11));
    assertThat(only().leaseId()).isEqualTo(1);
  }

  @Test
  void demandThatIsToldLateIsJudgedByItsTime() {
    stage(1, 10, 0, 0, 2);
    clock.advance(Duration.ofMillis(5));
    Access early = access(10, 0, 0, true, Access.PENDING);
    clock.advance(Duration.ofMillis(15));
    assertThat(only().ready()).isEqualTo(0b11);
    assertThat(dry.demanded(early)).isFalse();
    LeaseState state = only();
    assertThat(state.late()).isEqualTo(0b01);
    assertThat(state.isConsistent()).isTrue();
  }

  @Test
  void whatWouldBeHereIsAddedToWhatIs() {
    stage(1, 10, 0, 3, 3);
    clock.advance(Duration.ofMillis(20));
    assertThat(demand(10, 0, 4)).isTrue();
    BitSet here = new BitSet();
    here.set(9);
    dry.addReady(0, here);
    dry.addReady(1, here);
    assertThat(here).hasToString("{3, 5, 9}");
  }

  @Test
  void whatIsAskedBackWasUnusedAndTheRestIsCancelled() {
    stage(1, 10, 0, 0, 2);
    clock.advance(Duration.ofMillis(20));
    assertThat(demand(10, 0, 0)).isTrue();
    stage(2, 10, 0, 10, 2);
    dry.cancel(1);
    dry.reclaim(1);
    dry.cancel(2);
    List<LeaseState> states = dry.takeChanged();
    assertThat(states).extracting(LeaseState::useful).containsExactly(1L, 0L);
    assertThat(states).extracting(LeaseState::unused).containsExactly(0b10L, 0L);
    assertThat(states).extracting(LeaseState::cancelled).containsExactly(0L, 0b11L);
    List<Long> held = new ArrayList<>();
    dry.forEachLive((lease, _) -> held.add(lease.id()));
    assertThat(held).isEmpty();
  }

  @Test
  void whatStandsReadyForOneVmServesNoOther() {
    stage(1, 11, 1, 0, 1);
    stage(2, 21, 1, 0, 1);
    clock.advance(Duration.ofMillis(20));
    assertThat(demand(21, 1, 0)).isTrue();
    assertThat(dry.takeChanged())
        .extracting(state -> state.leaseId() + " " + state.useful())
        .containsExactly("1 0", "2 1");
  }

  @Test
  void whatAnotherStagerHoldsIsLeftToIt() {
    dry.cancel(7);
    dry.reclaim(8);
    assertThat(passedOn).containsExactly("cancel 7", "reclaim 8");
    stage(1, 10, 0, 0, 1);
    clock.advance(Duration.ofMillis(20));
    assertThat(only().ready()).isEqualTo(1);
    List<String> held = new ArrayList<>();
    dry.forEachLive((lease, state) -> held.add(lease.id() + " " + state.ready()));
    assertThat(held).containsExactly("1 1");
  }
}
