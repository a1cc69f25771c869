package dev.prestage.simulator.replay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.simulator.Traces;
import dev.prestage.simulator.cache.Lru;
import dev.prestage.simulator.policy.Fetches;
import dev.prestage.simulator.policy.Lookahead;
import dev.prestage.simulator.policy.NextN;
import dev.prestage.simulator.policy.NoPrefetch;
import dev.prestage.simulator.policy.PerProgram;
import dev.prestage.simulator.policy.Prefetcher;
import dev.prestage.simulator.policy.Request;
import dev.prestage.simulator.trace.Trace;
import it.unimi.dsi.fastutil.longs.LongList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OpenLoopTest {
  private static final int UNLIMITED = Integer.MAX_VALUE - 8;

  /// Pages 100, 101 and so on, with one page in the place of one of them.
  private static Trace with(long page, int at, int requests) {
    long[] pages = new long[requests];
    for (int i = 0; i < requests; i++) {
      pages[i] = i == at ? page : 100 + i;
    }
    return Traces.of(pages);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 8})
  void aPageIsUsableLeadRequestsAfterTheNextOne(int lead) {
    Scripted policy = new Scripted().after(0, 9);
    OpenLoop.Result result = new OpenLoop(with(9, 1 + lead, 12), policy, 50, lead).run();
    assertThat(result.demandMissRatio()).isEqualTo(11.0 / 12);
    assertThat(result.precision()).isEqualTo(1);
    assertThat(result.uselessPerDemandPage()).isZero();
    assertThat(policy.heard).containsExactly("9 arrived", "9 used", "stopped");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8})
  void demandedEarlierItIsAMissAndItsFetchWasInVain(int lead) {
    Scripted policy = new Scripted().after(0, 9);
    OpenLoop.Result result = new OpenLoop(with(9, lead, 12), policy, 50, lead).run();
    assertThat(result.demandMissRatio()).isEqualTo(1);
    assertThat(result.requestMissRatio()).isEqualTo(1);
    assertThat(result.issued()).isEqualTo(1);
    assertThat(result.used()).isZero();
    assertThat(result.precision()).isZero();
    assertThat(result.uselessPerDemandPage()).isEqualTo(1.0 / 12);
    assertThat(policy.heard).containsExactly("stopped");
  }

  @Test
  void whatAStartAsksForIsUsableLeadRequestsAfterIt() {
    Scripted policy = new Scripted().after(Scripted.START, 100);
    assertThat(new OpenLoop(with(9, 4, 5), policy, 50, 0).run().used()).isEqualTo(1);
    policy = new Scripted().after(Scripted.START, 102, 101);
    assertThat(new OpenLoop(with(9, 4, 5), policy, 50, 2).run().used()).isEqualTo(1);
  }

  @Test
  void theWholeRequestIsDemandedBeforeThePolicyLearns() {
    Trace.Builder builder = Traces.builder();
    int run = builder.run(new Trace.Run("p", 0, 0));
    builder.add(0, run, 0, 10, 4, true);
    builder.add(0, run, 0, 12, 4, false);
    Scripted policy = new Scripted().after(0, 11, 13, 14);
    OpenLoop.Result result = new OpenLoop(builder.build(), policy, 50, 0).run();
    assertThat(policy.requests)
        .containsExactly(
            new Request(0, 10, 4, true, 4),
            new Request(OpenLoop.REQUEST_NANOS, 12, 4, false, LongList.of(15)));
    assertThat(policy.heard)
        .containsExactly("11 refused", "13 refused", "14 arrived", "14 used", "stopped");
    assertThat(result.demandMissRatio()).isEqualTo(5.0 / 8);
    assertThat(result.requestMissRatio()).isEqualTo(1);
    assertThat(result.modelBytes()).isEqualTo(7);
  }

  @Test
  void theLeastRecentlyUsedPageLeaves() {
    Scripted policy = new Scripted();
    OpenLoop.Result result = new OpenLoop(Traces.of(1, 2, 1, 3, 1, 2), policy, 2, 0).run();
    assertThat(policy.heard).containsExactly("2 evicted", "3 evicted", "stopped");
    assertThat(result.demandMissRatio()).isEqualTo(4.0 / 6);
  }

  @Test
  void aPageEvictedBeforeItsDemandIsUseless() {
    Scripted policy = new Scripted().after(0, 9);
    OpenLoop.Result result = new OpenLoop(Traces.of(1, 2, 3, 9), policy, 2, 0).run();
    assertThat(policy.heard)
        .containsExactly("9 arrived", "1 evicted", "9 evicted", "9 wasted", "2 evicted", "stopped");
    assertThat(result.uselessPerDemandPage()).isEqualTo(1.0 / 4);
  }

  @Test
  void aPageIsUsedOnceHoweverOftenItIsDemanded() {
    Scripted policy = new Scripted().after(0, 9, 9, 8);
    OpenLoop.Result result = new OpenLoop(Traces.of(1, 9, 9, 9), policy, 50, 0).run();
    assertThat(result.issued()).isEqualTo(2);
    assertThat(result.used()).isEqualTo(1);
    assertThat(result.precision()).isEqualTo(0.5);
    assertThat(result.demandMissRatio()).isEqualTo(0.25);
  }

  @Test
  void aRequestLongerThanTheCacheEvictsItsOwnBeginning() {
    Trace.Builder builder = Traces.builder();
    int run = builder.run(new Trace.Run("p", 0, 0));
    builder.add(0, run, 0, 10, 5, false);
    builder.add(0, run, 0, 10, 5, false);
    OpenLoop.Result result = new OpenLoop(builder.build(), new Scripted(), 3, 0).run();
    assertThat(result.demandMissRatio()).isEqualTo(1);
  }

  @Test
  void oneRequestIsATraceAndARunMayBeEmpty() {
    Trace.Builder builder = Traces.builder();
    builder.run(new Trace.Run("empty", 0, 0));
    Traces.run(builder, "p", 1, 0, 0, 1, 5);
    OpenLoop.Result result = new OpenLoop(builder.build(), new Scripted(), UNLIMITED, 8).run();
    assertThat(result.demandMissRatio()).isEqualTo(1);
    assertThat(result.uselessPerDemandPage()).isZero();
  }

  /// Asks for the next hundred pages at each occasion.
  private static final class Greedy implements Prefetcher, Prefetcher.Copy {
    private long page = 1000;

    private void ask(Fetches fetches) {
      for (int i = 0; i < 100; i++) {
        assertThat(fetches.isFull()).isEqualTo(!fetches.fetch(page++));
      }
    }

    @Override
    public Copy start(Fetches fetches) {
      ask(fetches);
      return this;
    }

    @Override
    public void demanded(Request request, Fetches fetches) {
      ask(fetches);
    }

    @Override
    public void next(Forecast into) {
      into.add(2, 0.25, 0, Expert.PEER);
      into.add(1, 0.5, 0, Expert.PEER);
    }

    @Override
    public long modelBytes() {
      return 0;
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 3})
  void aPolicyThatAsksForEverythingGetsThirtyTwoPagesARequest(int lead) {
    OpenLoop.Result result =
        new OpenLoop(Traces.of(1, 2, 3, 4, 5), new PerProgram(Greedy::new), UNLIMITED, lead).run();
    assertThat(result.issued()).isEqualTo(5 * 32);
    assertThat(result.uselessPerDemandPage()).isEqualTo(32);
  }

  @Test
  void theNextAccessIsScoredBeforeItHappensAndRepeatsAreOne() {
    OpenLoop.Result result =
        new OpenLoop(Traces.of(1, 1, 2, 7, 1), new PerProgram(Greedy::new), 50, 0).run();
    double surprise = Math.log(1e4) / Math.log(2);
    assertThat(result.bitsPerAccess()).isCloseTo((1 + 2 + surprise + 1) / 4, within(1e-9));
    assertThat(result.nextAccuracy()).isEqualTo(0.5);
    assertThat(new OpenLoop(Traces.of(1, 2), new Scripted(), 50, 0).run().bitsPerAccess()).isNaN();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
  void withoutPrefetchItIsLruAndWithItNothingIsLost(long seed) {
    int longest = seed % 4 == 0 ? 40 : 1 + (int) seed % 7;
    Trace trace = Traces.random(seed, 1500, 200, longest);
    for (int capacity : new int[] {1, 2, 7, 30, 150, UNLIMITED}) {
      OpenLoop.Result none =
          new OpenLoop(trace, new PerProgram(NoPrefetch::new), capacity, 2).run();
      OpenLoop.Result lru = CacheLoop.run(trace, new Lru(Math.min(capacity, 300)));
      assertThat(none.demandMissRatio())
          .as("seed %d, capacity %d", seed, capacity)
          .isEqualTo(lru.demandMissRatio());
      assertThat(none.requestMissRatio()).isEqualTo(lru.requestMissRatio());
      assertThat(none.issued()).isZero();
      assertThat(none.precision()).isEqualTo(1);
      int lead = (int) seed % 3;
      OpenLoop.Result next =
          new OpenLoop(trace, new PerProgram(() -> new NextN(9)), capacity, lead).run();
      assertThat(next.used()).isBetween(0L, next.issued());
      assertThat(next.uselessPerDemandPage())
          .isEqualTo((double) (next.issued() - next.used()) / trace.pages());
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void lookaheadInACacheThatHoldsAllMissesOnlyWhatCouldNotCome(long seed) {
    Trace trace = Traces.random(seed, 600, 300, 20);
    OpenLoop.Result result =
        new OpenLoop(trace, new Lookahead(trace, UNLIMITED, 0), UNLIMITED, 0).run();
    assertThat(result.demandMissRatio()).as("seed %d", seed).isZero();
    assertThat(result.precision()).isEqualTo(1);
    assertThat(result.issued()).isEqualTo(trace.distinctPages());
  }

  @Test
  void lookaheadAsksForNothingThatWouldBeLate() {
    long[] pages = new long[40];
    for (int i = 0; i < pages.length; i++) {
      pages[i] = i;
    }
    Trace trace = Traces.of(pages);
    for (int capacity : new int[] {20, UNLIMITED}) {
      OpenLoop.Result result =
          new OpenLoop(trace, new Lookahead(trace, capacity, 8), capacity, 8).run();
      assertThat(result.demandMissRatio()).as("of %d pages", capacity).isEqualTo(8.0 / 40);
      assertThat(result.precision()).isEqualTo(1);
    }
  }
}
