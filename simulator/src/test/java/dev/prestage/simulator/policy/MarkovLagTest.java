package dev.prestage.simulator.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.prestage.engine.predict.Forecast;
import org.junit.jupiter.api.Test;

class MarkovLagTest {
  private static void demand(Prefetcher.Copy copy, long... pages) {
    for (long page : pages) {
      copy.demanded(new Request(0, page, 1, false, 1), new Asked());
    }
  }

  @Test
  void whatCameAtEachDistanceIsFetchedTheNearestFirst() {
    Prefetcher.Copy copy = new MarkovLag(0, 2, 1).start(new Asked());
    demand(copy, 1, 20, 30, 40);
    assertThat(new Asked().after(copy, 1, 1, true)).containsExactly(20L, 30L);
  }

  @Test
  void withALeadWhatCannotComeInTimeIsLeftOut() {
    Prefetcher.Copy copy = new MarkovLag(2, 2, 1).start(new Asked());
    demand(copy, 1, 20, 30, 40, 50, 60);
    assertThat(new Asked().after(copy, 1, 1, true)).containsExactly(40L, 50L);
  }

  @Test
  void aWholeRequestIsForetold() {
    Prefetcher.Copy copy = new MarkovLag(0, 1, 1).start(new Asked());
    new Asked().after(copy, 1, 1, true);
    new Asked().after(copy, 20, 3, true);
    assertThat(new Asked().after(copy, 1, 5, true)).containsExactly(20L, 21L, 22L);
  }

  @Test
  void whatCameTooSeldomIsNotFetched() {
    Prefetcher.Copy copy = new MarkovLag(0, 1, 2).start(new Asked());
    demand(copy, 1, 20);
    assertThat(new Asked().after(copy, 1, 1, true)).isEmpty();
    demand(copy, 20);
    assertThat(new Asked().after(copy, 1, 1, true)).containsExactly(20L);
  }

  @Test
  void aNewcomerTakesThePlaceOfWhatIsWornOut() {
    Prefetcher.Copy copy = new MarkovLag(0, 1, 1).start(new Asked());
    demand(copy, 1, 10, 1, 10, 1, 20, 1, 30, 1, 40);
    // 10 twice, 20 and 30 once; 40 costs each one count and takes the place of 30.
    Forecast forecast = new Forecast();
    demand(copy, 1);
    copy.next(forecast);
    assertThat(forecast.probability(forecast.row(10))).isCloseTo(1 / 2.5, within(1e-9));
    assertThat(forecast.probability(forecast.row(40))).isCloseTo(1 / 2.5, within(1e-9));
    assertThat(forecast.row(30)).isNegative();
    assertThat(new Asked().after(copy, 1, 1, true)).isNotEmpty();
  }

  @Test
  void theNextPagesAreAlwaysFetchedAndNoMoreThanThereIsRoomFor() {
    Prefetcher.Copy copy = new NextN(3).start(new Asked());
    assertThat(new Asked().after(copy, 10, 2, true)).containsExactly(12L, 13L, 14L);
    assertThat(new Asked(2).after(copy, 10, 1, true)).containsExactly(11L, 12L);
  }
}
