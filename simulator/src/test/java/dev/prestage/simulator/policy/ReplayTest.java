package dev.prestage.simulator.policy;

import static dev.prestage.simulator.policy.Asked.pages;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.predict.Forecast;
import org.junit.jupiter.api.Test;

class ReplayTest {
  private final Replay replay = new Replay(Replay.LOOK_AHEAD);
  private final Asked host = new Asked();

  /// One run of pages 100, 200, ... up to `last` hundred.
  private void logHundreds(int last) {
    Prefetcher.Copy copy = replay.start(new Asked());
    for (int i = 1; i <= last; i++) {
      demand(copy, 100L * i);
    }
    copy.stop();
  }

  private static void demand(Prefetcher.Copy copy, long page) {
    copy.demanded(new Request(0, page, 1, false, 1), new Asked());
  }

  private static long expected(Prefetcher.Copy copy) {
    Forecast forecast = new Forecast();
    copy.next(forecast);
    assertThat(forecast.size()).isLessThanOrEqualTo(1);
    return forecast.size() == 0 ? -1 : forecast.resource(0);
  }

  @Test
  void aRunBeginsAtTheBeginningOfTheLast() {
    logHundreds(3);
    Prefetcher.Copy copy = replay.start(host);
    assertThat(host.news()).containsExactly(100L, 200L, 300L);
    assertThat(expected(copy)).isEqualTo(100);
  }

  @Test
  void noMoreThanTheLookAheadIsFetched() {
    logHundreds(40);
    Asked wide = new Asked(1000);
    Prefetcher.Copy copy = replay.start(wide);
    assertThat(wide.news()).hasSize(Replay.LOOK_AHEAD).endsWith(3200L);
    assertThat(wide.after(copy, 100)).containsExactly(3300L);
  }

  @Test
  void anInsertedAccessDoesNotEndTheMatch() {
    logHundreds(40);
    Prefetcher.Copy copy = replay.start(host);
    demand(copy, 100);
    for (int i = 0; i < Replay.INSERTED; i++) {
      demand(copy, 7 + 2 * i);
      assertThat(expected(copy)).isEqualTo(200);
    }
    demand(copy, 200);
    assertThat(expected(copy)).isEqualTo(300);
    for (int i = 0; i <= Replay.INSERTED; i++) {
      demand(copy, 51 + 2 * i);
    }
    assertThat(expected(copy)).isEqualTo(-1);
  }

  @Test
  void skippedAccessesDoNotEndTheMatch() {
    logHundreds(60);
    Prefetcher.Copy copy = replay.start(host);
    demand(copy, 100L * (1 + Replay.SKIPPED));
    assertThat(expected(copy)).isEqualTo(100L * (2 + Replay.SKIPPED));
    demand(copy, 100L * (3 + 2 * Replay.SKIPPED));
    assertThat(expected(copy)).isEqualTo(100L * (2 + Replay.SKIPPED));
  }

  @Test
  void twoRequestsFindThePlaceAgainInTheSameRun() {
    Prefetcher.Copy copy = replay.start(host);
    for (long page : new long[] {1, 5, 9, 20, 31, 1}) {
      assertThat(host.after(copy, page, 1, true)).isEmpty();
    }
    assertThat(host.after(copy, 5, 1, true)).containsExactly(9L, 20L, 31L, 1L, 5L);
    assertThat(expected(copy)).isEqualTo(9);
  }

  @Test
  void aPlaceNearTheEndOfTheOwnLogDoesNotFollowItsOwnTail() {
    Prefetcher.Copy copy = replay.start(host);
    for (long page : new long[] {1, 5, 1, 5, 1}) {
      demand(copy, page);
    }
    assertThat(expected(copy)).isEqualTo(5);
  }

  @Test
  void requestsAreFetchedWholeAndRepeatsAreLoggedOnce() {
    Prefetcher.Copy copy = replay.start(host);
    host.after(copy, 10, 4, true);
    host.after(copy, 10, 4, true);
    host.after(copy, 50, 2, true);
    copy.stop();
    Asked next = new Asked();
    replay.start(next);
    assertThat(next.news()).startsWith(pages(10, 13)).endsWith(pages(50, 51)).hasSize(6);
    assertThat(replay.modelBytes()).isEqualTo(2 * 12 + 36);
  }
}
