package dev.prestage.engine.predict;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class ProfileTest {
  private final Profile profile = new Profile();

  private void run(long... units) {
    profile.learn(units, units.length);
  }

  private int share(long unit) {
    return profile.ranking().share(profile.ranking().place(unit));
  }

  private long[] order() {
    return IntStream.range(0, profile.size()).mapToLong(profile.ranking()::unit).toArray();
  }

  @Test
  void orderIsThatOfMeanRanksAndASlowRunChangesNothing() {
    run(7, 3, 5);
    run(7, 5, 3);
    run(7, 5, 3);
    assertThat(order()).containsExactly(7, 5, 3);
  }

  @Test
  void shareIsThatOfTheLastEightRuns() {
    for (int i = 0; i < 8; i++) {
      run(i % 2 == 0 ? new long[] {1, 2} : new long[] {1, 3});
    }
    assertThat(share(1)).as("all").isEqualTo(7);
    assertThat(share(2)).as("half").isEqualTo(3);
    for (int i = 0; i < 8; i++) {
      run(1, 2);
    }
    assertThat(share(2)).isEqualTo(7);
    assertThat(share(3)).as("none of the last eight").isZero();
  }

  @Test
  void unitThatSixteenRunsDidNotTouchIsForgotten() {
    run(1, 2, 3);
    for (int i = 0; i < 15; i++) {
      run(1, 4, 3);
    }
    assertThat(profile.ranking().place(2)).isNotEqualTo(UnitMap.NONE);
    run(1, 4, 3);
    assertThat(profile.ranking().place(2)).isEqualTo(UnitMap.NONE);
  }

  @Test
  void runThatEndedEarlyDoesNotLowerWhatLayBehindItsEnd() {
    long[] all = LongStream.range(0, 100).toArray();
    run(all);
    run(all);
    run(LongStream.range(0, 10).toArray());
    assertThat(share(80)).isEqualTo(7);
  }

  @Test
  void runWithoutATouchIsNoRun() {
    run();
    assertThat(profile.runs()).isZero();
  }

  @Test
  void profileIsBounded() {
    profile.learn(LongStream.range(0, 100_000).toArray(), 100_000);
    assertThat(profile.size()).isEqualTo(Profile.MOST_UNITS);
  }
}
