package dev.prestage.control.aggregate;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class FrequentPairsTest {
  private static final int MANY = 10_000;

  @Test
  void withNoMoreKeysThanPlacesEveryCountIsExactAndEveryKeyHasItsPlace() {
    var counts = new FrequentPairs(MANY);
    for (int i = 0; i < MANY; i++) {
      // Keys that differ in one number only, small and large.
      assertThat(counts.add(i % 3 * (1L << 40), -i)).isEqualTo(~i);
    }
    for (int i = 0; i < MANY; i++) {
      assertThat(counts.add(i % 3 * (1L << 40), -i)).isEqualTo(i);
    }
    assertThat(counts.exact()).isTrue();
    assertThat(counts.all())
        .hasSize(MANY)
        .allSatisfy(counted -> assertThat(counted.seen()).isEqualTo(2))
        .allSatisfy(counted -> assertThat(counted.missedUpTo()).isZero())
        .allSatisfy(counted -> assertThat(counted.second()).isEqualTo(-counted.place()));
    assertThat(counts.most(1, 0)).isZero();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void memoryIsBoundedAndTheTrueCountLiesWithinWhatIsSaid(long seed) {
    int places = 200;
    int stream = 300_000;
    Random random = new Random(seed);
    var counts = new FrequentPairs(places);
    int[] atPlaces = new int[places];
    Map<Integer, Integer> truth = new HashMap<>();
    for (int i = 0; i < stream; i++) {
      // Few frequent keys in a long tail of others.
      int key = (int) (20_000 * Math.pow(random.nextDouble(), 4));
      int place = counts.add(key % 10, key / 10);
      if (place < 0) {
        atPlaces[~place] = 0;
        place = ~place;
      }
      atPlaces[place]++;
      truth.merge(key, 1, Integer::sum);
    }
    assertThat(truth.size()).as("seed %d", seed).isGreaterThan(50 * places);
    assertThat(counts.exact()).isFalse();
    Map<Integer, Long> found = new HashMap<>();
    for (FrequentPairs.Counted counted : counts.all()) {
      int key = (int) (counted.second() * 10 + counted.first());
      long times = truth.getOrDefault(key, 0);
      assertThat(times).isBetween(counted.seen(), counted.seen() + counted.missedUpTo());
      assertThat((long) atPlaces[counted.place()]).isEqualTo(counted.seen());
      found.put(key, counted.seen());
    }
    assertThat(found).hasSizeBetween(places / 2, places);
    truth.forEach((key, count) -> {
      assertThat(counts.most(key % 10, key / 10)).isGreaterThanOrEqualTo(count);
      if (count > 2 * stream / places) {
        assertThat(found).as("seed %d, key %d, %d times", seed, key, count).containsKey(key);
      }
    });
  }

  @Test
  void theHalfThatWasSeenLeastGoesWhenThePlacesRunOut() {
    var counts = new FrequentPairs(3);
    List.of(1, 1, 1, 2, 4, 4, 3).forEach(key -> counts.add(key, 0));
    assertThat(counts.all())
        .extracting(counted -> counted.first() + " " + counted.seen() + " " + counted.missedUpTo())
        .containsExactlyInAnyOrder("1 3 0", "3 1 2");
    assertThat(counts.most(2, 0)).isEqualTo(2);
  }
}
