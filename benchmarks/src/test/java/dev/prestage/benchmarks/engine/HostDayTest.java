package dev.prestage.benchmarks.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.Outcome;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class HostDayTest {
  private static final int SEEDS = 20;

  @Test
  @Timeout(300)
  void accountLimitsAndBytesHoldWhateverTheHostDoes() {
    Map<Outcome, Long> all = new ConcurrentHashMap<>();
    LongStream.rangeClosed(1, SEEDS)
        .parallel()
        .forEach(seed ->
            new HostDay(seed)
                .run()
                .outcomes()
                .forEach((how, units) -> all.merge(how, units, Long::sum)));
    // A day on which an outcome never came would prove nothing of it.
    assertThat(all.keySet()).containsExactlyInAnyOrder(Outcome.values());
    assertThat(all.getOrDefault(Outcome.USEFUL, 0L)).isGreaterThan(1000);
  }
}
