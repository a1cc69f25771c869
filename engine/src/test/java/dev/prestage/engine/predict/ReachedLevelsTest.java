package dev.prestage.engine.predict;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.resource.Resource;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ReachedLevelsTest {
  private static final int SPACE = 3;
  private static final long SECOND = 1_000_000_000;
  private static final Forecaster.Lead LEAD = new Forecaster.Lead(SECOND, 1_000);

  private long now = SECOND;

  private void climb(Forecaster.Cursor cursor, int levels) {
    for (int level = 0; level < levels; level++) {
      now += SECOND / 100;
      cursor.observe(
          new Access(
              0, 1, Resource.of(SPACE, level), now, AccessType.UNKNOWN, 1, Cause.DEMAND, true, 1));
    }
  }

  private List<Long> proposed(Forecaster.Cursor cursor) {
    Forecast forecast = new Forecast();
    cursor.propose(Forecaster.Open.ALL, LEAD, now, 0.25, 100, forecast);
    cursor.forecast(now, 30 * SECOND, forecast);
    List<Long> levels = new ArrayList<>();
    for (int row = 0; row < forecast.size(); row++) {
      levels.add(Resource.index(forecast.resource(row)));
    }
    return levels;
  }

  @Test
  void aClimbIsNotContinuedBeyondWhatWasEverReached() {
    Forecaster plain = new HybridForecaster();
    Forecaster.Cursor sequence = plain.start(1, now);
    climb(sequence, 6);
    assertThat(proposed(sequence)).as("what blocks would get").anyMatch(level -> level > 5);

    Forecaster levels = new ReachedLevels(new HybridForecaster(), new long[0]);
    Forecaster.Cursor cursor = levels.start(1, now);
    climb(cursor, 6);
    assertThat(proposed(cursor)).noneMatch(level -> level > 5);
  }

  @Test
  void whatWasReachedInAnEarlierRunIsForecast() {
    HybridForecaster learner = new HybridForecaster();
    Forecaster levels = new ReachedLevels(learner, new long[0]);
    for (int run = 0; run < 3; run++) {
      Forecaster.Cursor cursor = levels.start(1, now);
      climb(cursor, 4);
      cursor.stop(now);
      now += SECOND;
    }
    assertThat(proposed(levels.start(2, now))).containsExactlyInAnyOrder(0L, 1L, 2L, 3L);
    Forecaster again = new ReachedLevels(learner, learner.touched());
    assertThat(proposed(again.start(3, now))).containsExactlyInAnyOrder(0L, 1L, 2L, 3L);
  }

  @Test
  void whatARunBeforeTheLastOneReachedIsNotForgotten() {
    HybridForecaster learner = new HybridForecaster();
    for (int levels : new int[] {6, 6, 6, 2}) {
      Forecaster.Cursor cursor = learner.start(1, now);
      climb(cursor, levels);
      cursor.stop(now);
      now += SECOND;
    }
    Forecaster again = new ReachedLevels(learner, learner.touched());
    assertThat(proposed(again.start(2, now))).contains(0L, 1L, 5L);
  }
}
