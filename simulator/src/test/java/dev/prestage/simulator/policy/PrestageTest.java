package dev.prestage.simulator.policy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.resource.Range;
import dev.prestage.simulator.Traces;
import dev.prestage.simulator.replay.ClosedLoop;
import dev.prestage.simulator.replay.OpenLoop;
import dev.prestage.simulator.trace.Trace;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The engine asserts by itself that granted = ended + live, and that no page ends twice.
class PrestageTest {
  private static final int UNLIMITED = Integer.MAX_VALUE - 8;

  private static Prestage prestage(
      int stagedPages, int inFlight, Duration horizon, double uselessBudget) {
    Limits limits =
        new Limits(
            (long) stagedPages * Trace.PAGE_BYTES,
            inFlight,
            horizon,
            Duration.ofSeconds(3),
            16,
            uselessBudget);
    return new Prestage(Thresholds.all(.1), limits, Trace.PAGE_BYTES);
  }

  private static Trace loops(int rounds, int span) {
    long[] pages = new long[rounds * span];
    for (int i = 0; i < pages.length; i++) {
      pages[i] = 3L * (i * 7 % span);
    }
    return Traces.of(pages);
  }

  @ParameterizedTest(name = "seed {0}")
  @ValueSource(
      longs = {
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24
      })
  void theBudgetIsKeptWhateverIsEvictedAndWhoeverStops(long seed) {
    Random random = new Random(seed);
    Trace trace = Traces.random(seed, 1200, 20 + random.nextInt(300), 1 + random.nextInt(9));
    int capacity = 1 + random.nextInt(60);
    int lead = random.nextInt(10);
    double budget = new double[] {0, .05, .25, 1}[random.nextInt(4)];
    int inFlight = 1 + random.nextInt(100);
    int staged = 1 + random.nextInt(80);
    Duration horizon = Duration.ofMillis(1 + random.nextInt(60));
    OpenLoop.Result open =
        new OpenLoop(trace, prestage(staged, inFlight, horizon, budget), capacity, lead).run();
    assertThat(open.issued() - open.used())
        .as("open loop with seed %d", seed)
        .isLessThanOrEqualTo((long) (budget * trace.pages()));
    for (boolean cold : new boolean[] {false, true}) {
      ClosedLoop.Setup setup =
          new ClosedLoop.Setup(capacity, 10_000_000, 1 + random.nextInt(8), cold);
      ClosedLoop.Result closed =
          new ClosedLoop(trace, prestage(staged, inFlight, horizon, budget), setup).run();
      long useless = closed.runs().stream().mapToLong(ClosedLoop.RunResult::useless).sum();
      // What another run uses after a run's end is useless for that run, and not for the budget.
      if (cold) {
        assertThat(useless)
            .as("closed loop with seed %d", seed)
            .isLessThanOrEqualTo((long) (budget * trace.pages()));
      }
    }
  }

  @Test
  void aLoopIsLearntAndStagedAhead() {
    Trace trace = loops(40, 50);
    Duration horizon = Duration.ofMillis(40);
    OpenLoop.Result open =
        new OpenLoop(trace, prestage(18, 64, horizon, Double.POSITIVE_INFINITY), 25, 1).run();
    assertThat(open.demandMissRatio()).isLessThan(.1);
    assertThat(open.precision()).isGreaterThan(.9);
    assertThat(open.nextAccuracy()).isGreaterThan(.8);
    assertThat(open.modelBytes()).isPositive();
  }

  @Test
  void theSecondColdRunKnowsTheFirst() {
    Trace.Builder builder = Traces.builder();
    for (int run = 0; run < 3; run++) {
      long[] pages = new long[100];
      for (int i = 0; i < pages.length; i++) {
        pages[i] = 5L * (i * 37 % 100);
      }
      Traces.run(builder, "p", run, 0, 0, 1_000_000, pages);
    }
    Trace trace = builder.build();
    Prestage policy = prestage(UNLIMITED, 256, Duration.ofSeconds(30), Double.POSITIVE_INFINITY);
    ClosedLoop.Setup setup = new ClosedLoop.Setup(UNLIMITED, 10_000_000, 32, true);
    ClosedLoop.Result result = new ClosedLoop(trace, policy, setup).run();
    assertThat(result.runs().get(0).stallNanos()).isGreaterThan(800_000_000);
    assertThat(result.runs().get(2).stallNanos()).isLessThan(100_000_000);
    assertThat(result.runs().get(2).fetched()).isEqualTo(100);
    assertThat(policy.calibration().bins()).isNotEmpty();
  }

  @Test
  void pagesOfAnyNumberAreDemandedAndNoneBeyondTheSpaceIsStaged() {
    long far = Trace.MAX_PAGE - 100;
    Trace trace = Traces.of(far, far + 1, far + 2, far + 3, 1L << 31, 1L << 32, far, far + 1);
    Prestage policy = prestage(9, 9, Duration.ofMillis(40), Double.POSITIVE_INFINITY);
    assertThat(new OpenLoop(trace, policy, 9, 0).run().issued()).isZero();
  }

  @Test
  void aRequestLongerThanTheCacheIsNotBelievedToBeHere() {
    Trace.Builder builder = Traces.builder();
    int run = builder.run(new Trace.Run("p", 0, 0));
    for (int round = 0; round < 30; round++) {
      builder.add(0, run, 0, 10, 1, false);
      builder.add(0, run, 0, 100, 6, false);
      builder.add(0, run, 0, 11, 1, false);
    }
    Prestage policy = prestage(4, 9, Duration.ofMillis(4), Double.POSITIVE_INFINITY);
    assertThat(new OpenLoop(builder.build(), policy, 4, 0).run().used()).isPositive();
  }

  @Test
  void aPageEndsAsWhatBecameOfIt() {
    LeaseAccount account =
        new LeaseAccount(new Lease(7, 1, new Range(0, 10, 5), 0, 1, 0, 0, Long.MAX_VALUE));
    account.ready(10);
    account.demanded(10);
    account.demanded(11);
    account.redundant(12);
    account.ready(13);
    assertThat(account.inFlight()).isEqualTo(0b10000);
    account.unused(13);
    assertThat(account.hasEnded()).isFalse();
    account.cancelled(14);
    assertThat(account.hasEnded()).isTrue();
    assertThat(account.state())
        .isEqualTo(new LeaseState(7, 0b01001, 0b00001, 0b00010, 0b01000, 0b00100, 0, 0b10000, 0));
  }
}
