package dev.prestage.engine.predict;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.Resource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class HybridForecasterTest {
  private static final long START = 1_000_000_000_000L;
  private static final long MILLI = 1_000_000;

  private final Host host = new Host();
  private final HostKnowledge common = new HostKnowledge();
  private final HybridForecaster forecaster = new HybridForecaster(common);

  /// Says what is here; everything else is open.
  private static final class Host implements Forecaster.Open {
    final Set<Long> here = new HashSet<>();
    long came;

    @Override
    public boolean isOpen(long resource) {
      return !here.contains(resource);
    }

    @Override
    public long came() {
      return came;
    }
  }

  private static long unit(long index) {
    return Resource.of(1, index);
  }

  private static Access touch(int binding, long index, long nanos) {
    return new Access(
        binding, 1, unit(index), nanos, AccessType.READ, 65536, Cause.DEMAND, false, 1);
  }

  /// A copy that runs on a host, and is asked after each touch.
  private final class Copy {
    final Forecaster.Cursor cursor;
    final Forecast said = new Forecast();
    final Set<Long> staged = new HashSet<>();
    final long gapNanos;
    final Forecaster.Lead lead;
    long now = START;

    Copy(HybridForecaster of, long gapNanos, long leadNanos, int held) {
      this.cursor = of.start(1, START);
      this.gapNanos = gapNanos;
      this.lead = new Forecaster.Lead(leadNanos, held);
    }

    List<Long> touch(long index) {
      now += gapNanos;
      cursor.observe(HybridForecasterTest.touch(1, index, now));
      if (staged.remove(index)) {
        ended(index, Outcome.USEFUL);
      }
      host.came += host.here.add(unit(index)) ? 1 : 0;
      return ask(0.25);
    }

    List<Long> ask(double least) {
      said.clear();
      cursor.propose(host, lead, now, least, 256, said);
      List<Long> indexes = new ArrayList<>();
      for (int row = 0; row < said.size(); row++) {
        indexes.add(Resource.index(said.resource(row)));
      }
      staged.addAll(indexes);
      return indexes;
    }

    void run(long... indexes) {
      LongStream.of(indexes).forEach(this::touch);
      cursor.stop(now);
    }
  }

  private Copy copy() {
    return new Copy(forecaster, MILLI, MILLI, 1_000_000);
  }

  private static long[] scattered(int units) {
    return LongStream.range(0, units).map(i -> i * 7919 % 100_003).toArray();
  }

  @Test
  void knownStartIsProposedAtOnceInItsOrder() {
    long[] start = scattered(100);
    copy().run(start);
    host.here.clear();
    List<Long> proposed = copy().ask(0.25);
    assertThat(proposed).containsExactlyElementsOf(LongStream.of(start).boxed().toList());
  }

  @Test
  void whatIsHereIsNotProposedAndNothingIsProposedTwice() {
    copy().run(scattered(100));
    Copy second = copy();
    assertThat(second.ask(0.25)).as("all of it is here").isEmpty();
    host.here.clear();
    Copy third = copy();
    assertThat(third.ask(0.25)).hasSize(100);
    assertThat(third.ask(0.25)).isEmpty();
  }

  @Test
  void dueTimesFollowThePaceOfTheCopyAndNotThatOfItsTeacher() {
    new Copy(forecaster, 20 * MILLI, MILLI, 1_000_000).run(scattered(300));
    host.here.clear();
    Copy fast = new Copy(forecaster, MILLI / 10, MILLI, 1_000_000);
    for (int i = 0; i < 100; i++) {
      fast.cursor.observe(touch(1, scattered(300)[i], fast.now += MILLI / 10));
      host.here.add(unit(scattered(300)[i]));
    }
    fast.ask(0.25);
    long last = unit(scattered(300)[299]);
    long due = fast.said.dueNanos(fast.said.row(last)) - fast.now;
    assertThat(due).isBetween(10 * MILLI, 40 * MILLI);
  }

  @Test
  void strangerIsLedByWhatOthersTouchedOfTheSameSpace() {
    long[] common64 = scattered(64);
    new Copy(new HybridForecaster(common), MILLI, MILLI, 1_000_000).run(common64);
    host.here.clear();
    Copy stranger = copy();
    List<Long> proposed = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      proposed.addAll(stranger.touch(common64[i]));
    }
    assertThat(proposed).contains(common64[10], common64[15]);
    host.here.clear();
    Copy alone = new Copy(new HybridForecaster(), MILLI, MILLI, 1_000_000);
    for (int i = 0; i < 5; i++) {
      assertThat(alone.touch(common64[i])).doesNotContain(common64[10]);
    }
  }

  @Test
  void neighboursOfARunOfTouchesAreProposedInAFirstStart() {
    Copy first = copy();
    List<Long> proposed = new ArrayList<>();
    for (long index = 1000; index < 1010; index++) {
      proposed.addAll(first.touch(index));
    }
    assertThat(proposed).contains(1012L, 1015L);
    assertThat(proposed).doesNotContain(500L);
  }

  @Test
  void sequenceSeenBeforeIsProposedBehindTheLead() {
    // More than fits: the start model is silent, and the Markov models speak.
    long[] sequence = scattered(400);
    Copy copy = new Copy(forecaster, MILLI, 4 * MILLI, 20);
    for (int round = 0; round < 30; round++) {
      for (long index : sequence) {
        host.here.clear();
        copy.touch(index);
      }
    }
    host.here.clear();
    List<Long> proposed = copy.touch(sequence[0]);
    assertThat(proposed).contains(sequence[5], sequence[8]);
    assertThat(proposed).as("what cannot come in time").doesNotContain(sequence[1], sequence[2]);
  }

  @Test
  void whatIsStagedInVainIsProposedLessAndLess() {
    Random random = new Random(3);
    long[] sequence = scattered(400);
    Copy copy = new Copy(forecaster, MILLI, MILLI, 20);
    int first = 0;
    int last = 0;
    for (int round = 0; round < 60; round++) {
      for (int i = 0; i < 100; i++) {
        host.here.clear();
        // The same beginning, and then never the same again.
        List<Long> proposed = copy.touch(i < 50 ? sequence[i] : random.nextInt(90_000));
        for (long index : proposed) {
          boolean comes = LongStream.of(sequence).limit(50).anyMatch(known -> known == index);
          ended(index, comes ? Outcome.USEFUL : Outcome.UNUSED);
        }
        first += round < 15 && i >= 50 ? proposed.size() : 0;
        last += round >= 45 && i >= 50 ? proposed.size() : 0;
      }
    }
    assertThat(last).isLessThan(100).isLessThanOrEqualTo(first);
  }

  private void ended(long index, Outcome how) {
    Lease lease = new Lease(1, 1, new Range(1, index, 1), 0, .5f, Expert.MATCH.bit(), 0, 0);
    forecaster.ended(lease, 1, how);
  }

  @Test
  void twoDisksOfACopyAreTwoStreams() {
    Copy copy = new Copy(forecaster, MILLI, 2 * MILLI, 20);
    for (int round = 0; round < 40; round++) {
      for (int i = 0; i < 200; i++) {
        host.here.clear();
        copy.touch(7919L * i % 10_007);
        copy.cursor.observe(touch(2, 50_000 + 104_729L * (i + round) % 20_011, copy.now));
      }
    }
    host.here.clear();
    copy.cursor.observe(touch(1, 0, copy.now += MILLI));
    copy.ask(0.25);
    assertThat(copy.said.row(unit(7919L * 4 % 10_007))).isNotNegative();
  }

  @Test
  void nextTouchIsADistribution() {
    Copy copy = copy();
    for (int round = 0; round < 50; round++) {
      for (long index : new long[] {1, 40, 20, 70, 30}) {
        copy.touch(index);
      }
    }
    copy.touch(1);
    Forecast next = new Forecast();
    copy.cursor.next(copy.now, next);
    assertThat(next.probability(next.row(unit(40)))).isGreaterThan(.9);
    double sum = 0;
    for (int row = 0; row < next.size(); row++) {
      sum += next.probability(row);
    }
    assertThat(sum).isLessThanOrEqualTo(1 + 1e-6);
  }

  @Test
  void givenUpUnitIsProposedAgain() {
    copy().run(1, 2, 3, 4);
    host.here.clear();
    Copy second = copy();
    assertThat(second.ask(0.25)).containsExactly(1L, 2L, 3L, 4L);
    second.cursor.observe(touch(1, 2, START));
    second.cursor.released(touch(1, 2, START + 1));
    assertThat(second.ask(0.25)).contains(2L);
  }

  @Test
  void probabilitiesOfARandomProgramAreSmall() {
    Random random = new Random(8);
    Copy copy = new Copy(forecaster, MILLI, 2 * MILLI, 100);
    int proposed = 0;
    for (int i = 0; i < 20_000; i++) {
      host.here.clear();
      List<Long> now = copy.touch(random.nextInt(1_000_000));
      now.forEach(index -> ended(index, Outcome.UNUSED));
      proposed += i >= 10_000 ? now.size() : 0;
    }
    assertThat(proposed).isLessThan(100);
  }

  @Test
  void mostConfidentExpertIsBelievedAndAllAreRemembered() {
    Forecast forecast = new Forecast();
    for (long i = 0; i < 1000; i++) {
      forecast.add(i * 7919, 0.5, i, Expert.RUN_SET);
    }
    forecast.add(7919, 0.3, 1, Expert.MARKOV);
    forecast.add(2 * 7919, 0.8, 42, Expert.SEQUENTIAL);
    assertThat(forecast.size()).isEqualTo(1000);
    int weak = forecast.row(7919);
    assertThat(forecast.probability(weak)).isEqualTo(0.5);
    assertThat(forecast.dueNanos(weak)).isEqualTo(1);
    assertThat(Expert.of(forecast.experts(weak))).containsExactly(Expert.RUN_SET, Expert.MARKOV);
    int strong = forecast.row(2 * 7919);
    assertThat(forecast.probability(strong)).isEqualTo(0.8);
    assertThat(forecast.dueNanos(strong)).isEqualTo(42);
    forecast.clear();
    assertThat(forecast.size()).isZero();
    assertThat(forecast.row(7919)).isEqualTo(-1);
  }
}
