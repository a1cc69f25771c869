package dev.prestage.simulator.policy;

import static dev.prestage.simulator.policy.Asked.pages;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.predict.Forecast;
import org.junit.jupiter.api.Test;

class AmpTest {
  private final Asked host = new Asked();
  private final Prefetcher.Copy copy = new Amp().start(host);

  @Test
  void theNextBatchIsFetchedNearTheEndOfTheLast() {
    assertThat(host.after(copy, 100)).isEmpty();
    assertThat(host.after(copy, 101)).containsExactly(pages(102, 105));
    assertThat(host.after(copy, 102)).isEmpty();
    assertThat(host.after(copy, 103)).isEmpty();
    assertThat(host.after(copy, 104)).containsExactly(pages(106, 109));
  }

  @Test
  void theDegreeGrowsWhenTheLastPageOfABatchIsUsed() {
    host.after(copy, 100);
    host.after(copy, 101);
    assertThat(host.after(copy, 104)).containsExactly(pages(106, 109));
    assertThat(host.after(copy, 105)).isEmpty();
    assertThat(host.after(copy, 108)).containsExactly(pages(110, 114));
  }

  @Test
  void theDegreeGrowsByTheSizeOfARequestUpToItsMaximum() {
    host.after(copy, 100, 20, true);
    assertThat(host.after(copy, 120, 20, true)).containsExactly(pages(140, 143));
    copy.used(143);
    assertThat(host.after(copy, 140, 20, true)).containsExactly(pages(160, 183));
    copy.used(183);
    assertThat(host.after(copy, 160, 24, false)).containsExactly(pages(184, 215));
  }

  @Test
  void wastedPagesShrinkTheDegree() {
    host.after(copy, 100);
    assertThat(host.after(copy, 101)).containsExactly(pages(102, 105));
    copy.wasted(102);
    copy.wasted(103);
    assertThat(host.after(copy, 104)).isEmpty();
    assertThat(host.after(copy, 105)).containsExactly(pages(106, 108));
  }

  @Test
  void aBatchKeepsOnePage() {
    host.after(copy, 100);
    host.after(copy, 101);
    long last = 105;
    for (int degree = 3; degree >= 1; degree--) {
      copy.wasted(last);
      assertThat(host.after(copy, last, 1, true)).containsExactly(pages(last + 1, last + degree));
      last += degree;
    }
    copy.wasted(last);
    assertThat(host.after(copy, last, 1, true)).containsExactly(last + 1);
  }

  @Test
  void demandThatOvertakesAFetchStartsTheNextOneEarlier() {
    host.after(copy, 100);
    assertThat(host.after(copy, 101)).containsExactly(pages(102, 105));
    // Nobody said that page 102 was used: its fetch is still on its way.
    assertThat(host.after(copy, 102, 1, true)).isEmpty();
    assertThat(host.after(copy, 103, 1, true)).containsExactly(pages(106, 109));
  }

  @Test
  void theLastPageOfABatchThatIsOvertakenLetsTheDegreeGrowToo() {
    host.after(copy, 100);
    assertThat(host.after(copy, 101)).containsExactly(pages(102, 105));
    assertThat(host.after(copy, 105, 1, true)).containsExactly(pages(106, 110));
  }

  @Test
  void interleavedStreamsAreToldApart() {
    for (long stream = 1; stream <= 64; stream++) {
      assertThat(host.after(copy, 1000 * stream)).isEmpty();
    }
    for (long stream = 1; stream <= 64; stream++) {
      long next = 1000 * stream + 1;
      assertThat(host.after(copy, next)).containsExactly(pages(next + 1, next + 4));
    }
  }

  @Test
  void aHitStartsNoStream() {
    assertThat(host.after(copy, 100, 1, false)).isEmpty();
    assertThat(host.after(copy, 101, 1, false)).isEmpty();
    assertThat(host.after(copy, 102, 1, true)).containsExactly(pages(103, 106));
  }

  @Test
  void theNextPageOfAStreamIsExpected() {
    Forecast forecast = new Forecast();
    host.after(copy, 100);
    copy.next(forecast);
    assertThat(forecast.size()).isZero();
    host.after(copy, 101);
    copy.next(forecast);
    assertThat(forecast.resource(0)).isEqualTo(102);
  }
}
