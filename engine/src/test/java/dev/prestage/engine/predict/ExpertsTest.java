package dev.prestage.engine.predict;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.resource.Resource;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class ExpertsTest {
  private static final long START = 1_000_000_000_000L;
  private static final long MILLI = 1_000_000;
  private static final long EVER = Long.MAX_VALUE / 4;

  private static Access touch(long index, long nanos) {
    return new Access(
        0, 0, Resource.of(1, index), nanos, AccessType.READ, 65536, Cause.DEMAND, false, 1);
  }

  private static void run(RunSet set, long gapNanos, long... indexes) {
    RunSet.Run run = set.start(START);
    long at = START;
    for (long index : indexes) {
      at += gapNanos;
      run.observe(touch(index, at));
    }
    run.stop();
  }

  private static Forecast forecast(RunSet set, long horizonNanos) {
    Forecast forecast = new Forecast();
    set.start(START).forecast(START, horizonNanos, forecast);
    return forecast;
  }

  private static double probability(Forecast forecast, long index) {
    int row = forecast.row(Resource.of(1, index));
    return row < 0 ? 0 : forecast.probability(row);
  }

  private static long due(Forecast forecast, long index) {
    return forecast.dueNanos(forecast.row(Resource.of(1, index))) - START;
  }

  private static long[] range(long first, int units) {
    return LongStream.range(first, first + units).toArray();
  }

  // ---- run-set

  @Test
  void shareOfRunsBecomesTheProbability() {
    for (int odd = 0; odd < 4; odd++) {
      RunSet set = new RunSet();
      for (int i = 0; i < 4; i++) {
        run(set, MILLI, i == odd ? new long[] {1, 2, 9, 3} : new long[] {1, 2, 3});
      }
      Forecast forecast = forecast(set, EVER);
      assertThat(probability(forecast, 9)).as("in run %d of 4", odd).isBetween(0.2, 0.35);
      assertThat(probability(forecast, 1)).isGreaterThan(0.9);
      assertThat(probability(forecast, 3)).isGreaterThan(0.9);
    }
  }

  @Test
  void oneRunMakesAResourceLikelyAndNotCertain() {
    RunSet set = new RunSet();
    run(set, MILLI, 5);
    assertThat(probability(forecast(set, EVER), 5)).isCloseTo(0.83, within(0.01));
  }

  @Test
  void runThatEndedEarlyDoesNotLowerWhatLayBehindItsEnd() {
    RunSet set = new RunSet();
    run(set, MILLI, range(0, 100));
    run(set, MILLI, range(0, 100));
    double before = probability(forecast(set, EVER), 80);
    run(set, MILLI, range(0, 10));
    assertThat(probability(forecast(set, EVER), 80)).isEqualTo(before);
    assertThat(probability(forecast(set, EVER), 5)).isGreaterThan(before);
  }

  @Test
  void slowRunDoesNotSpoilDueTimesNorTheOrder() {
    RunSet set = new RunSet();
    run(set, MILLI, 7, 3, 5);
    run(set, 100 * MILLI, 7, 3, 5);
    Forecast forecast = forecast(set, EVER);
    assertThat(due(forecast, 7)).isEqualTo(MILLI);
    assertThat(due(forecast, 3)).isEqualTo(2 * MILLI);
    assertThat(due(forecast, 5)).isEqualTo(3 * MILLI);
  }

  @Test
  void fastRunThatEndedEarlyKeepsTheTimesBehindItsEnd() {
    RunSet set = new RunSet();
    run(set, 10 * MILLI, range(0, 100));
    run(set, MILLI, range(0, 60));
    Forecast forecast = forecast(set, EVER);
    assertThat(due(forecast, 59)).isEqualTo(60 * MILLI);
    assertThat(due(forecast, 60)).isEqualTo(70 * MILLI);
    assertThat(due(forecast, 99)).isEqualTo(460 * MILLI);
  }

  @Test
  void resourceNoLongerTouchedIsForgotten() {
    RunSet set = new RunSet();
    run(set, MILLI, 1, 2, 3);
    for (int i = 0; i < 25; i++) {
      run(set, MILLI, 1, 4, 3);
    }
    assertThat(set.size()).isEqualTo(3);
    assertThat(probability(forecast(set, EVER), 2)).isZero();
  }

  @Test
  void onlyWhatIsDueWithinTheHorizonAndNotYetSeenIsExpected() {
    RunSet set = new RunSet();
    run(set, MILLI, range(0, 10));
    assertThat(forecast(set, 5 * MILLI).size()).isEqualTo(5);
    RunSet.Run run = set.start(START);
    run.observe(touch(0, START));
    run.observe(touch(1, START));
    Forecast forecast = new Forecast();
    run.forecast(START, 5 * MILLI, forecast);
    assertThat(forecast.size()).isEqualTo(3);
  }

  @Test
  void runWithoutATouchIsNoRun() {
    RunSet set = new RunSet();
    run(set, MILLI);
    assertThat(set.runs()).isZero();
  }

  // ---- Markov

  private static Forecast after(MarkovChain chain, long from, long horizonNanos) {
    Forecast forecast = new Forecast();
    chain.forecast(Resource.of(1, from), START, MILLI, horizonNanos, forecast);
    return forecast;
  }

  private static void follow(MarkovChain chain, long... indexes) {
    MarkovChain.Position position = chain.new Position();
    for (long index : indexes) {
      position.observe(Resource.of(1, index));
    }
  }

  @Test
  void successorsHaveTheirShareAndRepeatsAreOneTouch() {
    MarkovChain chain = new MarkovChain();
    for (int i = 0; i < 30; i++) {
      follow(chain, 1, 1, i % 3 == 0 ? 2 : 3);
    }
    Forecast forecast = after(chain, 1, MILLI);
    assertThat(probability(forecast, 2)).isCloseTo(1.0 / 3, within(0.02));
    assertThat(probability(forecast, 3)).isCloseTo(2.0 / 3, within(0.02));
    assertThat(probability(forecast, 1)).isZero();
  }

  @Test
  void likeliestPathIsFollowedWithinTheHorizon() {
    MarkovChain chain = new MarkovChain();
    for (int i = 0; i < 50; i++) {
      follow(chain, 10, 40, 20, 70, 30);
    }
    Forecast forecast = after(chain, 10, 3 * MILLI);
    assertThat(forecast.size()).isEqualTo(3);
    assertThat(probability(forecast, 70)).isGreaterThan(0.9).isLessThan(probability(forecast, 40));
    assertThat(due(forecast, 70)).isEqualTo(3 * MILLI);
  }

  @Test
  void chainFollowsAProgramThatChangesEvenAfterMuchNoise() {
    MarkovChain chain = new MarkovChain();
    for (int i = 0; i < 20_000; i++) {
      follow(chain, 1, 100 + i % 977);
    }
    for (int i = 0; i < 400; i++) {
      follow(chain, 1, 5);
    }
    assertThat(probability(after(chain, 1, MILLI), 5)).isGreaterThan(0.7);
  }

  @Test
  void stateUsedLastSurvivesAndAskingDoesNotCount() {
    MarkovChain chain = new MarkovChain();
    follow(chain, 1, 2);
    follow(chain, 3, 4);
    follow(chain, 1, 2);
    after(chain, 3, MILLI);
    for (long i = 0; i < 64 * 1024 - 1; i++) {
      chain.learn(Resource.of(1, 1000 + 2 * i), Resource.of(1, 1));
    }
    assertThat(chain.size()).isEqualTo(64 * 1024);
    assertThat(after(chain, 1, MILLI).size()).isEqualTo(1);
    assertThat(after(chain, 3, MILLI).size()).isZero();
  }

  // ---- sequential runs

  @Test
  void longRunIsExpectedToGoOnFurtherThanAShortOne() {
    SequentialRuns runs = new SequentialRuns();
    for (int i = 0; i < 20; i++) {
      SequentialRuns.Run run = runs.start(false);
      for (long index = 0; index < 40; index++) {
        run.observe(Resource.of(1, 100L * i + index), false);
      }
      run.observe(Resource.of(1, 90_000 + 10L * i), false);
      run.observe(Resource.of(1, 80_000 + 10L * i), false);
    }
    SequentialRuns.Run run = runs.start(false);
    Forecast before = new Forecast();
    run.forecast(START, MILLI, EVER, before);
    assertThat(before.size()).isZero();
    List<Double> next = new ArrayList<>();
    for (long index = 0; index < 20; index++) {
      run.observe(Resource.of(1, index), false);
      Forecast forecast = new Forecast();
      run.forecast(START, MILLI, EVER, forecast);
      next.add(probability(forecast, index + 1));
      assertThat(probability(forecast, index)).isZero();
      assertThat(forecast.size()).isLessThanOrEqualTo(32);
    }
    assertThat(next.getFirst()).isLessThan(0.5);
    assertThat(next.getLast()).isGreaterThan(0.9);
  }

  @Test
  void sequenceRespectsTheHorizon() {
    SequentialRuns runs = new SequentialRuns();
    SequentialRuns.Run run = runs.start(false);
    for (long index = 0; index < 50; index++) {
      run.observe(Resource.of(1, index), false);
    }
    Forecast forecast = new Forecast();
    run.forecast(START, MILLI, 3 * MILLI, forecast);
    assertThat(forecast.size()).isEqualTo(3);
    assertThat(due(forecast, 52)).isEqualTo(3 * MILLI);
  }

  /// The probability that a run of one resource goes on.
  private static double continuation(SequentialRuns runs) {
    SequentialRuns.Run run = runs.start(true);
    run.observe(Resource.of(1, 500), false);
    Forecast forecast = new Forecast();
    run.forecast(START, MILLI, EVER, forecast);
    return probability(forecast, 501);
  }

  @Test
  void stepThatAnotherExpertForetoldIsNotCounted() {
    for (boolean foretold : new boolean[] {true, false}) {
      SequentialRuns goesOn = new SequentialRuns();
      SequentialRuns ends = new SequentialRuns();
      double unlearnt = continuation(goesOn);
      for (int i = 0; i < 20; i++) {
        SequentialRuns.Run pair = goesOn.start(true);
        pair.observe(Resource.of(1, 10L * i), false);
        pair.observe(Resource.of(1, 10L * i + 1), foretold);
        SequentialRuns.Run jump = ends.start(true);
        jump.observe(Resource.of(1, 10L * i), false);
        jump.observe(Resource.of(1, 10L * i + 5), foretold);
      }
      if (foretold) {
        assertThat(continuation(goesOn)).isEqualTo(unlearnt);
        assertThat(continuation(ends)).isEqualTo(unlearnt);
      } else {
        assertThat(continuation(goesOn)).isGreaterThan(0.9);
        assertThat(continuation(ends)).isLessThan(0.05);
      }
    }
  }

  // ---- together

  @Test
  void knownSequenceDoesNotMakeSequencesAfterUnknownTouchesLikelier() {
    HybridForecaster forecaster = new HybridForecaster();
    for (int run = 0; run < 10; run++) {
      Forecaster.Cursor cursor = forecaster.start(0, START);
      for (long index : range(0, 40)) {
        cursor.observe(touch(index, START + index * MILLI));
      }
      cursor.stop(START + 40 * MILLI);
    }
    Forecaster.Cursor cursor = forecaster.start(0, START);
    cursor.observe(touch(900, START));
    Forecast forecast = new Forecast();
    cursor.forecast(START, EVER, forecast);
    assertThat(probability(forecast, 1)).isGreaterThan(0.9);
    assertThat(probability(forecast, 901)).isLessThan(0.5);
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
