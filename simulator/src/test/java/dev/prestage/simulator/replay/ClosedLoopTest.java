package dev.prestage.simulator.replay;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.simulator.Traces;
import dev.prestage.simulator.policy.Lookahead;
import dev.prestage.simulator.policy.NoPrefetch;
import dev.prestage.simulator.policy.PerProgram;
import dev.prestage.simulator.policy.Policy;
import dev.prestage.simulator.policy.Readahead;
import dev.prestage.simulator.trace.Trace;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClosedLoopTest {
  private static final int UNLIMITED = Integer.MAX_VALUE - 8;
  private static final long MILLI = 1_000_000;

  private static ClosedLoop.Setup setup(int inFlight, boolean cold) {
    return new ClosedLoop.Setup(UNLIMITED, 10 * MILLI, inFlight, cold);
  }

  private static ClosedLoop.RunResult only(Trace trace, Policy policy, int inFlight) {
    return new ClosedLoop(trace, policy, setup(inFlight, false)).run().runs().getFirst();
  }

  private static Policy none() {
    return new PerProgram(NoPrefetch::new);
  }

  @Test
  void aMissStallsByTheOriginsLatencyAndAHitDoesNot() {
    ClosedLoop.RunResult run = only(Traces.of(1, 2, 1, 3), none(), 32);
    assertThat(run.stallNanos()).isEqualTo(30 * MILLI);
    assertThat(run.reads()).isEqualTo(4);
    assertThat(run.waited()).isEqualTo(3);
    assertThat(run.fetched()).isEqualTo(3);
    assertThat(run.useless()).isZero();
  }

  @Test
  void aRequestWaitsOnceForAllOfItsPages() {
    Trace.Builder builder = Traces.builder();
    int number = builder.run(new Trace.Run("p", 0, 0));
    builder.add(0, number, 0, 10, 4, false);
    ClosedLoop.RunResult run = only(builder.build(), none(), 32);
    assertThat(run.stallNanos()).isEqualTo(10 * MILLI);
    assertThat(run.waited()).isEqualTo(4);
  }

  @Test
  void aLatePrefetchStallsByTheRest() {
    // Request 1 comes at 10 + 1 ms; page 9 was asked for at 0, and 8 when page 2 was demanded.
    Scripted policy = new Scripted().after(1, 9, 8);
    ClosedLoop.RunResult run = only(Traces.of(1, 2, 9, 8, 9), policy, 1);
    // 10 for each of 1 and 2. Page 9 departs at 11 and is here at 21, as page 2; it is demanded
    // at 22. Page 8 takes its place at 21 and is demanded at 23, 8 ms before it comes.
    assertThat(run.stallNanos()).isEqualTo((10 + 10 + 8) * MILLI);
    assertThat(run.waited()).isEqualTo(3);
    assertThat(run.fetched()).isEqualTo(4);
    assertThat(run.useless()).as("late").isEqualTo(1);
    assertThat(policy.heard).containsExactly("9 arrived", "9 used", "8 arrived", "stopped");
  }

  @Test
  void demandTakesAQueuedPageOutOfTheQueue() {
    // One fetch at a time: 7 departs at 0, 9 and 8 wait. At 11 page 9 is under way since 10 and
    // page 8 waits: its demand departs at once.
    Scripted policy = new Scripted().after(0, 7, 9, 8);
    ClosedLoop.RunResult run = only(Traces.of(1, 8, 9), policy, 1);
    assertThat(run.stallNanos()).isEqualTo(20 * MILLI);
    assertThat(run.fetched()).isEqualTo(4);
    assertThat(run.useless()).as("page 7").isEqualTo(1);
    assertThat(policy.heard).containsExactly("7 arrived", "9 arrived", "9 used", "stopped");
  }

  @Test
  void fetchesAheadAreBoundedAndTakenInTheirOrder() {
    Scripted policy = new Scripted().after(Scripted.START, 5, 3, 4, 2, 6);
    Trace.Builder builder = Traces.builder();
    Traces.run(builder, "p", 0, 0, 0, 40 * MILLI, 1, 7);
    only(builder.build(), policy, 2);
    assertThat(policy.heard)
        .containsExactly(
            "5 arrived", "3 arrived", "4 arrived", "2 arrived", "6 arrived", "stopped");
  }

  @Test
  void whatARunQueuedIsForgottenAtItsEnd() {
    Scripted policy = new Scripted().after(0, 5, 6, 7);
    ClosedLoop.RunResult run = only(Traces.of(1), policy, 1);
    assertThat(run.fetched()).isEqualTo(2);
    assertThat(run.useless()).isEqualTo(1);
  }

  @Test
  void thinkTimeIsClampedAndTimeMayStepBack() {
    Trace.Builder builder = Traces.builder();
    int number = builder.run(new Trace.Run("p", 0, 0));
    builder.add(-3, number, 0, 1, 1, false);
    builder.add(10_000 * MILLI, number, 0, 1, 1, false);
    builder.add(9_999 * MILLI, number, 0, 1, 1, false);
    builder.add(10_002 * MILLI, number, 0, 1, 1, false);
    Scripted policy = new Scripted();
    only(builder.build(), policy, 32);
    assertThat(policy.requests)
        .extracting(request -> request.timeNanos())
        .containsExactly(0L, 60 * MILLI, 60 * MILLI + 1000, 63 * MILLI + 1000);
  }

  @Test
  void coldRunsStartWithNothingAndOthersShareACache() {
    Trace.Builder builder = Traces.builder();
    Traces.run(builder, "p", 3, 0, 0, MILLI, 1, 2);
    Traces.run(builder, "p", 4, 0, 0, MILLI, 1, 2, 3);
    Trace trace = builder.build();
    Scripted policy = new Scripted();
    List<ClosedLoop.RunResult> cold = new ClosedLoop(trace, policy, setup(32, true)).run().runs();
    assertThat(cold).extracting(ClosedLoop.RunResult::fetched).containsExactly(2L, 3L);
    assertThat(cold).extracting(result -> result.run().number()).containsExactly(3, 4);
    assertThat(policy.hosts).containsExactly(0, 1);
    assertThat(policy.heard).containsExactly("stopped", "host 0 gone", "stopped", "host 1 gone");
    policy = new Scripted();
    List<ClosedLoop.RunResult> warm = new ClosedLoop(trace, policy, setup(32, false)).run().runs();
    assertThat(warm).extracting(ClosedLoop.RunResult::fetched).containsExactly(2L, 1L);
    assertThat(policy.hosts).containsExactly(0, 0);
    assertThat(policy.heard).containsExactly("stopped", "stopped");
  }

  @Test
  void runsOfAStreamFollowEachOtherAndStreamsRunSideBySide() {
    Trace.Builder builder = Traces.builder();
    Traces.run(builder, "a", 0, 0, 0, MILLI, 1, 2);
    Traces.run(builder, "a", 1, 0, 0, MILLI, 3);
    Traces.run(builder, "b", 0, 1, 5 * MILLI, MILLI, 1, 4);
    Scripted policy = new Scripted();
    ClosedLoop.Result result = new ClosedLoop(builder.build(), policy, setup(32, false)).run();
    assertThat(policy.requests)
        .extracting(request -> request.first())
        .containsExactly(1L, 1L, 2L, 4L, 3L);
    assertThat(policy.requests)
        .extracting(request -> request.timeNanos())
        .containsExactly(0L, 5 * MILLI, 11 * MILLI, 11 * MILLI, 21 * MILLI + 1000);
    // The second stream joins the first one's fetch of page 1, half of its time later.
    assertThat(result.runs())
        .extracting(ClosedLoop.RunResult::stallNanos)
        .containsExactlyInAnyOrder(20 * MILLI, 15 * MILLI, 10 * MILLI);
    assertThat(result.stallNanos()).isEqualTo(45 * MILLI);
  }

  @Test
  void lookaheadWaitsOnlyAsTheLinkDemands() {
    long[] pages = IntStream.range(0, 100).asLongStream().toArray();
    Trace.Builder builder = Traces.builder();
    Traces.run(builder, "p", 0, 0, 0, 0, pages);
    Trace trace = builder.build();
    ClosedLoop.RunResult run = only(trace, new Lookahead(trace, UNLIMITED, 0), 10);
    // Ten pages each 10 ms, and a microsecond of thought for each page but the last.
    long thought = 99_000;
    assertThat(run.stallNanos() + thought).isBetween(100 * MILLI, 100 * MILLI + thought);
    assertThat(run.fetched()).isEqualTo(100);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void theSameReplayGivesTheSameAndNoPrefetchFetchesEachPageOnce(long seed) {
    Trace trace = Traces.random(seed, 800, 300, 12);
    ClosedLoop.Result none = new ClosedLoop(trace, none(), setup(32, false)).run();
    assertThat(none.runs().stream().mapToLong(ClosedLoop.RunResult::fetched).sum())
        .as("seed %d", seed)
        .isEqualTo(trace.distinctPages());
    for (boolean cold : new boolean[] {false, true}) {
      ClosedLoop.Setup tight = new ClosedLoop.Setup(40, 10 * MILLI, 3, cold);
      Supplier<Policy> readahead = () -> new PerProgram(Readahead::new);
      ClosedLoop.Result once = new ClosedLoop(trace, readahead.get(), tight).run();
      assertThat(once.runs()).isEqualTo(new ClosedLoop(trace, readahead.get(), tight).run().runs());
      assertThat(once.runs())
          .allSatisfy(run -> {
            assertThat(run.useless()).isBetween(0L, run.fetched());
            assertThat(run.waited()).isBetween(0L, run.reads());
          });
    }
  }

  @Test
  void thousandsOfColdRunsLeaveNoHostBehind() {
    Trace.Builder builder = Traces.builder();
    for (int run = 0; run < 3000; run++) {
      Traces.run(builder, "p", run, 0, 0, MILLI, 1, 2);
    }
    Scripted policy = new Scripted();
    ClosedLoop.Result result = new ClosedLoop(builder.build(), policy, setup(32, true)).run();
    assertThat(result.runs()).hasSize(3000).allMatch(run -> run.fetched() == 2);
    assertThat(policy.heard).filteredOn(word -> word.endsWith("gone")).hasSize(3000);
  }
}
