package dev.prestage.simulator.policy;

import static dev.prestage.simulator.policy.Asked.pages;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.predict.Forecast;
import org.junit.jupiter.api.Test;

class StrideTest {
  private final Asked host = new Asked();
  private final Prefetcher.Copy copy = new Stride().start(host);

  @Test
  void theThirdEqualDistanceOfFourIsATrend() {
    assertThat(host.after(copy, 100)).isEmpty();
    assertThat(host.after(copy, 107)).isEmpty();
    assertThat(host.after(copy, 114)).isEmpty();
    assertThat(host.after(copy, 121)).containsExactly(128L);
  }

  @Test
  void theWindowIsThePowerOfTwoAboveWhatWasUsed() {
    for (long page = 100; page < 103; page++) {
      assertThat(host.after(copy, page)).isEmpty();
    }
    assertThat(host.after(copy, 103)).containsExactly(104L);
    assertThat(host.after(copy, 104)).isEmpty();
    assertThat(host.after(copy, 105)).containsExactly(106L, 107L);
    assertThat(host.after(copy, 106)).isEmpty();
    assertThat(host.after(copy, 107)).isEmpty();
    assertThat(host.after(copy, 108)).containsExactly(pages(109, 112));
    for (long page = 109; page <= 112; page++) {
      assertThat(host.after(copy, page)).isEmpty();
    }
    assertThat(host.after(copy, 113)).containsExactly(pages(114, 121));
    for (long page = 114; page <= 121; page++) {
      assertThat(host.after(copy, page)).isEmpty();
    }
    assertThat(host.after(copy, 122)).containsExactly(pages(123, 130));
  }

  @Test
  void anUnusedWindowIsHalvedUntilNothingIsFetched() {
    host.after(copy, 100, 8, true);
    for (int use = 0; use < 4; use++) {
      copy.used(use);
    }
    assertThat(host.after(copy, 200, 4, true)).hasSize(8);
    assertThat(host.after(copy, 300, 4, true)).containsExactly(pages(304, 307));
    assertThat(host.after(copy, 400, 4, true)).containsExactly(pages(404, 405));
    assertThat(host.after(copy, 500, 4, true)).containsExactly(504L);
    assertThat(host.after(copy, 600, 4, true)).isEmpty();
  }

  @Test
  void noiseDoesNotHideATrend() {
    long[] run = {100, 90, 80, 70, 500, 490, 480};
    for (long page : run) {
      host.after(copy, page, 1, true);
    }
    // 480 was fetched and came in use; of the last four distances two are jumps, of eight five
    // agree.
    assertThat(host.after(copy, 900, 1, true)).containsExactly(890L, 880L);
  }

  @Test
  void aFetchThatDemandOvertakesWasOfUse() {
    for (long page = 100; page < 103; page++) {
      host.after(copy, page);
    }
    assertThat(host.after(copy, 103)).containsExactly(104L);
    assertThat(host.after(copy, 104, 1, true)).isEmpty();
    assertThat(host.after(copy, 105)).containsExactly(106L, 107L);
  }

  @Test
  void aHitFetchesNothing() {
    for (long page = 1; page < 9; page++) {
      assertThat(host.after(copy, page, 1, false)).isEmpty();
    }
  }

  @Test
  void theTrendGivesTheNextPageAndRepeatsAreNoAccesses() {
    Forecast forecast = new Forecast();
    for (long page : new long[] {40, 30, 30, 20}) {
      host.after(copy, page, 1, true);
    }
    copy.next(forecast);
    assertThat(forecast.size()).isZero();
    host.after(copy, 10, 1, true);
    copy.next(forecast);
    assertThat(forecast.size()).isOne();
    assertThat(forecast.resource(0)).isZero();
  }
}
