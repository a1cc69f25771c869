package dev.prestage.engine.predict;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class RecordsTest {
  private final Records records = new Records();
  private final List<Long> expired = new ArrayList<>();

  private void add(long unit, long came, int stream) {
    records.add(unit, false, came, came, .5f, unit, (int) unit, stream, this::expired);
  }

  private void expired(int record) {
    expired.add(records.unit(record));
  }

  @Test
  void opinionsEndInTheirOrderOnceSoManyUnitsCame() {
    for (long unit = 0; unit < 1000; unit++) {
      add(unit, unit, 1);
    }
    records.drop(records.find(3));
    records.expire(5, Long.MIN_VALUE, this::expired);
    assertThat(expired).containsExactly(0L, 1L, 2L, 4L, 5L);
    assertThat(records.find(5)).isEqualTo(Records.NONE);
    assertThat(records.features(records.find(6))).isEqualTo(6);
  }

  @Test
  void opinionsEndWithTheirTimeAndWithTheirStream() {
    add(1, 10, 1);
    add(2, 20, 2);
    add(3, 30, 1);
    records.expire(0, 15, this::expired);
    assertThat(expired).containsExactly(1L);
    records.endStream(1, this::expired);
    assertThat(expired).containsExactly(1L, 3L);
    assertThat(records.find(2)).isNotEqualTo(Records.NONE);
  }

  @Test
  void fullRingLosesTheOldestAndNothingElse() {
    for (long unit = 0; unit < 40_000; unit++) {
      add(unit, unit, 1);
    }
    assertThat(expired).hasSize(40_000 - (1 << 15)).startsWith(0L, 1L, 2L);
    assertThat(records.find(40_000 - (1 << 15))).isNotEqualTo(Records.NONE);
  }

  @Test
  void behavesLikeAMap() {
    for (long seed = 1; seed <= 5; seed++) {
      Random random = new Random(seed);
      Records some = new Records();
      Map<Long, Long> model = new HashMap<>();
      for (int step = 0; step < 20_000; step++) {
        long unit = random.nextInt(3000);
        int found = some.find(unit);
        assertThat(found != Records.NONE)
            .as("seed %d, step %d", seed, step)
            .isEqualTo(model.containsKey(unit));
        if (found != Records.NONE) {
          assertThat(some.features(found)).isEqualTo(model.get(unit));
          some.drop(found);
          model.remove(unit);
        } else {
          some.add(unit, true, 0, 0, .1f, step, 0, 0, record -> model.remove(some.unit(record)));
          model.put(unit, (long) step);
        }
      }
    }
  }
}
