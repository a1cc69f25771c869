package dev.prestage.simulator.policy;

import static dev.prestage.simulator.policy.Asked.pages;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.prestage.engine.predict.Forecast;
import it.unimi.dsi.fastutil.longs.LongList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// What is learnt of which page comes with which: [Markov1], [ProbabilityGraph], [Mithril].
class AssociationsTest {
  private final Asked host = new Asked();

  private static void demand(Prefetcher.Copy copy, long... pages) {
    for (long page : pages) {
      copy.demanded(new Request(0, page, 1, false, 1), new Asked());
    }
  }

  private static double probability(Prefetcher.Copy copy, long page) {
    Forecast forecast = new Forecast();
    copy.next(forecast);
    int row = forecast.row(page);
    return row < 0 ? 0 : forecast.probability(row);
  }

  @Test
  void successorsAreFetchedWholeTheMostFrequentFirst() {
    Prefetcher.Copy copy = new Markov1(Markov1.LEAST_PERCENT).start(host);
    host.after(copy, 1, 1, true);
    host.after(copy, 50, 3, true);
    demand(copy, 1, 90, 1, 90, 1);
    assertThat(probability(copy, 90)).isCloseTo(2.0 / 3, within(1e-9));
    assertThat(probability(copy, 50)).isCloseTo(1.0 / 3, within(1e-9));
    demand(copy, 7);
    Asked fresh = new Asked();
    assertThat(fresh.after(copy, 1, 1, true)).containsExactly(90L, 7L, 50L, 51L, 52L);
  }

  @Test
  void ofFiveSuccessorsTheLeastFrequentIsForgotten() {
    Prefetcher.Copy copy = new Markov1(Markov1.LEAST_PERCENT).start(host);
    demand(copy, 1, 10, 1, 20, 1, 30, 1, 40, 1, 20, 1, 50);
    Asked fresh = new Asked();
    assertThat(fresh.after(copy, 1, 1, true)).containsExactly(20L, 50L, 40L, 30L);
  }

  @Test
  void aSuccessorRarerThanOneInTenIsNotFetched() {
    Prefetcher.Copy copy = new Markov1(Markov1.LEAST_PERCENT).start(host);
    demand(copy, 1, 77);
    for (int i = 0; i < 9; i++) {
      demand(copy, 1, 10);
    }
    assertThat(new Asked().after(copy, 1, 1, true)).containsExactly(10L, 77L);
    demand(copy, 10);
    assertThat(new Asked().after(copy, 1, 1, true)).containsExactly(10L);
  }

  @Test
  void repeatsAreOneRequest() {
    Prefetcher.Copy copy = new Markov1(Markov1.LEAST_PERCENT).start(host);
    demand(copy, 1, 1, 2, 2, 1);
    assertThat(probability(copy, 2)).isEqualTo(1);
    assertThat(probability(copy, 1)).isZero();
  }

  @Test
  void onlyAnArcWithMoreThanItsShareIsFetched() {
    Prefetcher.Copy copy =
        new ProbabilityGraph(1 << 20, ProbabilityGraph.LEAST_PERCENT).start(host);
    // Behind page 1 stand 10 to 28 once and 30 twice: 2 of 21 arcs, which all others are under.
    demand(copy, 1);
    for (long page = 10; page < 28; page++) {
      demand(copy, page);
    }
    demand(copy, 30, 30, 99);
    assertThat(host.after(copy, 1, 1, true)).containsExactly(30L);
    assertThat(probability(copy, 30)).isCloseTo(0.1, within(1e-9));
  }

  @Test
  void onlyTheLastPageOfARequestIsLookedUp() {
    Prefetcher.Copy copy =
        new ProbabilityGraph(1 << 20, ProbabilityGraph.LEAST_PERCENT).start(host);
    demand(copy, 1);
    for (int i = 0; i < ProbabilityGraph.WINDOW; i++) {
      demand(copy, 30);
    }
    demand(copy, 99);
    assertThat(host.after(copy, 1, 2, true)).isEmpty();
    assertThat(host.after(copy, 0, 2, true)).containsExactly(30L);
  }

  @Test
  void aFullGraphLearnsNothingNew() {
    ProbabilityGraph graph = new ProbabilityGraph(64, ProbabilityGraph.LEAST_PERCENT);
    Prefetcher.Copy copy = graph.start(host);
    for (int i = 0; i <= ProbabilityGraph.WINDOW; i++) {
      demand(copy, 5);
    }
    assertThat(graph.modelBytes()).isEqualTo(64);
    for (int i = 0; i < 50; i++) {
      demand(copy, 6);
    }
    assertThat(graph.modelBytes()).isEqualTo(64);
    assertThat(host.after(copy, 6, 1, true)).isEmpty();
  }

  /// Two rounds of misses of `Mithril.MINED` pages, so that the table is full and mined.
  private static void mine(Prefetcher.Copy copy) {
    for (int round = 0; round < 2; round++) {
      for (int i = 0; i < Mithril.MINED; i++) {
        demand(copy, 100L * i);
      }
    }
  }

  @Test
  void pagesMissedTogetherTwiceFetchEachOther() {
    Mithril mithril = new Mithril(10 << 20, Mithril.LISTED);
    Prefetcher.Copy copy = mithril.start(host);
    mine(copy);
    // The nearest, and no other: with two times only, the second is not compared.
    assertThat(host.after(copy, 500, 1, false)).containsExactly(600L);
    assertThat(mithril.modelBytes()).isEqualTo(28L * (Mithril.MINED - 1));
  }

  @Test
  void hitsAreNotMined() {
    Mithril mithril = new Mithril(10 << 20, Mithril.LISTED);
    Prefetcher.Copy copy = mithril.start(host);
    for (int i = 0; i < 3; i++) {
      host.after(copy, 5, 1, false);
    }
    // Page 8 had been fetched, so it did not miss.
    copy.demanded(new Request(0, 7, 3, false, LongList.of(7, 9)), host);
    assertThat(mithril.modelBytes()).isEqualTo(2 * 20);
  }

  @Test
  void aPageMissedTooOftenIsNotMined() {
    Mithril mithril = new Mithril(10 << 20, Mithril.LISTED);
    Prefetcher.Copy copy = mithril.start(host);
    for (int i = 0; i < Mithril.MOST_SUPPORT; i++) {
      demand(copy, 5);
    }
    assertThat(mithril.modelBytes()).isEqualTo(28);
    demand(copy, 5);
    assertThat(mithril.modelBytes()).isZero();
  }

  @Test
  void membersOfAUnionShareTheRoom() {
    Asked narrow = new Asked(3);
    Prefetcher.Copy copy = new Union(List.of(new NextN(2), new NextN(4))).start(narrow);
    assertThat(narrow.after(copy, 10, 1, true)).containsExactly(pages(11, 13));
    Forecast forecast = new Forecast();
    copy.next(forecast);
    assertThat(forecast.size()).isEqualTo(1);
  }

  @Test
  void theMemberThatAskedIsToldWhatBecameOfAPage() {
    Teller near = new Teller(1);
    Teller far = new Teller(2);
    Prefetcher.Copy copy = new Union(List.of(near, far)).start(host);
    copy.demanded(new Request(0, 10, 1, false, 1), host);
    copy.used(11);
    copy.wasted(12);
    copy.used(13);
    assertThat(near.told).isEqualTo("+11");
    assertThat(far.told).isEqualTo("-12");
  }

  /// Fetches the page at one distance, and writes down what becomes of it.
  private static final class Teller implements Prefetcher, Prefetcher.Copy {
    private final int distance;
    private String told = "";

    Teller(int distance) {
      this.distance = distance;
    }

    @Override
    public Copy start(Fetches fetches) {
      return this;
    }

    @Override
    public long modelBytes() {
      return 0;
    }

    @Override
    public void demanded(Request request, Fetches fetches) {
      fetches.fetch(request.last() + distance);
    }

    @Override
    public void used(long page) {
      told += "+" + page;
    }

    @Override
    public void wasted(long page) {
      told += "-" + page;
    }
  }
}
