package dev.prestage.simulator.policy;

import static dev.prestage.simulator.policy.Asked.pages;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.predict.Forecast;
import org.junit.jupiter.api.Test;

class ReadaheadTest {
  private final Asked host = new Asked();
  private final Prefetcher.Copy copy = new Readahead().start(host);
  private final Prefetcher.Copy file = new Readahead(32, false).start(host);

  @Test
  void aSequentialRunDoublesItsWindow() {
    assertThat(host.after(copy, 100)).containsExactly(101L, 102L, 103L);
    assertThat(host.after(copy, 101)).containsExactly(pages(104, 111));
    assertThat(host.after(copy, 102)).isEmpty();
    assertThat(host.after(copy, 103)).isEmpty();
    assertThat(host.after(copy, 104)).containsExactly(pages(112, 127));
    assertThat(host.after(copy, 112)).containsExactly(pages(128, 159));
    assertThat(host.after(copy, 128)).containsExactly(pages(160, 191));
  }

  @Test
  void theFirstWindowFollowsTheSizeOfTheRequest() {
    assertThat(host.after(copy, 1000, 2, true)).containsExactly(1002L, 1003L);
    assertThat(host.after(copy, 2000, 5, true)).containsExactly(pages(2005, 2015));
    assertThat(host.after(copy, 3000, 9, true)).containsExactly(pages(3009, 3031));
    assertThat(host.after(copy, 4000, 40, true)).containsExactly(pages(4040, 4071));
  }

  @Test
  void aRequestThatRunsPastItsWindowContinuesBehindItself() {
    assertThat(host.after(copy, 100, 2, true)).containsExactly(102L, 103L);
    assertThat(host.after(copy, 102, 6, true)).containsExactly(pages(108, 115));
  }

  @Test
  void interleavedStreamsAreToldApart() {
    for (long reader = 1; reader <= 16; reader++) {
      assertThat(host.after(copy, 1000 * reader, 2, true)).hasSize(2);
    }
    for (long reader = 1; reader <= 16; reader++) {
      assertThat(host.after(copy, 1000 * reader + 2, 2, false))
          .containsExactly(pages(1000 * reader + 4, 1000 * reader + 11));
    }
  }

  @Test
  void theReaderThatRestedLongestGivesWay() {
    for (long reader = 1; reader <= 17; reader++) {
      host.after(copy, 1000 * reader, 2, true);
    }
    assertThat(host.after(copy, 2002, 2, false)).containsExactly(pages(2004, 2011));
    assertThat(host.after(copy, 1002, 2, false)).isEmpty();
  }

  @Test
  void aHitOpensNoWindow() {
    assertThat(host.after(copy, 100, 1, false)).isEmpty();
    assertThat(host.after(copy, 101, 1, false)).isEmpty();
    assertThat(host.after(copy, 102, 1, true)).containsExactly(103L, 104L, 105L);
  }

  @Test
  void inAFileThatIsReadAtRandomOnlyItsStartAndASecondMissAreSequential() {
    assertThat(host.after(file, 500)).isEmpty();
    assertThat(host.after(file, 900)).isEmpty();
    assertThat(host.after(file, 501)).containsExactly(502L, 503L, 504L);
    assertThat(host.after(file, 0)).containsExactly(1L, 2L, 3L);
  }

  @Test
  void whatTheHostDidNotTakeIsAskedForByTheNextRequest() {
    Asked narrow = new Asked(2);
    Prefetcher.Copy reader = new Readahead().start(narrow);
    assertThat(narrow.after(reader, 100)).containsExactly(101L, 102L);
    assertThat(narrow.after(reader, 101)).containsExactly(103L, 104L);
  }

  @Test
  void theNextPageIsExpectedWhereAWindowIsOpen() {
    Forecast forecast = new Forecast();
    host.after(file, 500);
    file.next(forecast);
    assertThat(forecast.size()).isZero();
    host.after(file, 501);
    file.next(forecast);
    assertThat(forecast.size()).isOne();
    assertThat(forecast.resource(0)).isEqualTo(502);
  }

  @Test
  void nothingIsLearntForTheNextRun() {
    Readahead readahead = new Readahead(32, false);
    Prefetcher.Copy first = readahead.start(host);
    host.after(first, 10);
    host.after(first, 11);
    assertThat(host.after(readahead.start(host), 14)).isEmpty();
    assertThat(readahead.modelBytes()).isZero();
  }
}
