package dev.prestage.control.aggregate;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class FrequentKeysTest {
  @Test
  void withNoMoreKeysThanPlacesEveryCountIsExact() {
    FrequentKeys<String, Boolean> counts = FrequentKeys.ofKeys(3);
    for (String key : "c a b a c a".split(" ")) {
      counts.add(key);
    }
    assertThat(counts.exact()).isTrue();
    assertThat(counts.top(9, Comparator.naturalOrder()))
        .extracting(FrequentKeys.Counted::key)
        .containsExactly("a", "c", "b");
    assertThat(counts.top(2, Comparator.naturalOrder()))
        .allSatisfy(counted -> assertThat(counted.missedUpTo()).isZero())
        .extracting(FrequentKeys.Counted::seen)
        .containsExactly(3L, 2L);
    assertThat(counts.most("nobody")).isZero();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void memoryIsBoundedAndTheTrueCountLiesWithinWhatIsSaid(long seed) {
    int places = 200;
    int stream = 300_000;
    Random random = new Random(seed);
    FrequentKeys<Integer, int[]> counts = new FrequentKeys<>(places, () -> new int[1]);
    Map<Integer, Integer> truth = new HashMap<>();
    for (int i = 0; i < stream; i++) {
      // Few frequent keys in a long tail of others.
      int key = (int) (20_000 * Math.pow(random.nextDouble(), 4));
      counts.add(key)[0]++;
      truth.merge(key, 1, Integer::sum);
    }
    assertThat(truth.size()).as("seed %d", seed).isGreaterThan(50 * places);
    assertThat(counts.size()).isBetween(places / 2, places);
    assertThat(counts.exact()).isFalse();
    Map<Integer, Long> found = new HashMap<>();
    for (var counted : counts.top(places, Comparator.naturalOrder())) {
      long seen = truth.getOrDefault(counted.key(), 0);
      assertThat(seen).isBetween(counted.seen(), counted.seen() + counted.missedUpTo());
      assertThat((long) counted.value()[0]).isEqualTo(counted.seen());
      found.put(counted.key(), counted.seen());
    }
    truth.forEach((key, count) -> {
      assertThat(counts.most(key)).isGreaterThanOrEqualTo(count);
      if (count > 2 * stream / places) {
        assertThat(found).as("seed %d, key %d, %d times", seed, key, count).containsKey(key);
      }
    });
  }

  @Test
  void theHalfThatWasSeenLeastGoesWhenThePlacesRunOut() {
    FrequentKeys<String, Boolean> counts = FrequentKeys.ofKeys(3);
    List.of("a", "a", "a", "b", "d", "d", "c").forEach(counts::add);
    assertThat(counts.top(3, Comparator.naturalOrder()))
        .extracting(counted -> counted.key() + counted.seen() + counted.missedUpTo())
        .containsExactly("a30", "c12");
    assertThat(counts.most("b")).isEqualTo(2);
  }

  @Test
  void whatIsRememberedOfRunsIsBoundedAndTheOldestGoes() {
    StringBuilder forgotten = new StringBuilder();
    char[] next = {'a'};
    Recent<Integer, Character> recent = new Recent<>(2, () -> next[0]++, forgotten::append);
    assertThat(recent.of(1)).isEqualTo('a');
    assertThat(recent.of(2)).isEqualTo('b');
    assertThat(recent.of(1)).isEqualTo('a');
    assertThat(recent.of(3)).isEqualTo('c');
    assertThat(forgotten).hasToString("b");
    assertThat(recent.of(1)).isEqualTo('a');
    assertThat(recent.size()).isEqualTo(2);
  }
}
