package dev.prestage.simulator.policy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class PoliciesTest {
  private static void touch(Forecaster.Cursor cursor, long... resources) {
    for (long resource : resources) {
      cursor.observe(new Access(0, 1, resource, 5, AccessType.READ, 65536, Cause.DEMAND, false, 1));
    }
  }

  private static List<Long> expected(Forecaster.Cursor cursor) {
    Forecast forecast = new Forecast();
    cursor.forecast(100, 1_000_000_000, forecast);
    List<Long> resources = new ArrayList<>();
    for (int row = 0; row < forecast.size(); row++) {
      assertThat(forecast.probability(row)).isEqualTo(1);
      assertThat(row == 0 || forecast.dueNanos(row) > forecast.dueNanos(row - 1)).isTrue();
      resources.add(forecast.resource(row));
    }
    return resources;
  }

  @Test
  void replayStagesTheLastRunInItsOrderWithoutWhatWasSeen() {
    LastRunReplay replay = new LastRunReplay(List.of());
    Forecaster.Cursor first = replay.start(1, 0);
    assertThat(expected(first)).isEmpty();
    touch(first, 9, 3, 9, 7);
    first.stop(1);
    Forecaster.Cursor second = replay.start(1, 50);
    assertThat(expected(second)).containsExactly(9L, 3L, 7L);
    touch(second, 3, 4);
    assertThat(expected(second)).containsExactly(9L, 7L);
    second.stop(2);
    replay.start(1, 60).stop(61);
    assertThat(expected(replay.start(1, 70))).containsExactly(3L, 4L);
  }
}
