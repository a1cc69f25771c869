package dev.prestage.simulator.policy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.predict.Forecast;
import org.junit.jupiter.api.Test;

class OblTest {
  private final Asked host = new Asked();

  @Test
  void aPageIsFetchedBehindASecondSequentialOne() {
    Prefetcher.Copy copy = new Obl().start(host);
    assertThat(host.after(copy, 0)).isEmpty();
    assertThat(host.after(copy, 1)).containsExactly(2L);
    assertThat(host.after(copy, 7)).isEmpty();
    assertThat(host.after(copy, 7)).isEmpty();
    assertThat(host.after(copy, 8)).containsExactly(9L);
  }

  @Test
  void aRequestOfTwoPagesIsSequentialInItself() {
    Prefetcher.Copy copy = new Obl().start(host);
    assertThat(host.after(copy, 10, 2, true)).containsExactly(12L);
  }

  @Test
  void confidenceIsCountedOverRequests() {
    Prefetcher.Copy copy = new Obl(4).start(host);
    assertThat(host.after(copy, 10, 2, true)).isEmpty();
    assertThat(host.after(copy, 12, 2, true)).isEmpty();
    assertThat(host.after(copy, 14, 1, true)).containsExactly(15L);
  }

  @Test
  void theNextPageIsExpectedInARun() {
    Prefetcher.Copy copy = new Obl().start(host);
    Forecast forecast = new Forecast();
    host.after(copy, 3);
    copy.next(forecast);
    assertThat(forecast.size()).isZero();
    host.after(copy, 4);
    copy.next(forecast);
    assertThat(forecast.resource(0)).isEqualTo(5);
  }
}
