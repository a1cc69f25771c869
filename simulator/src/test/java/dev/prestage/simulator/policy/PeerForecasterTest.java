package dev.prestage.simulator.policy;

import static dev.prestage.simulator.policy.Asked.pages;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class PeerForecasterTest {
  private static void touch(Forecaster.Cursor cursor, long... resources) {
    for (long resource : resources) {
      cursor.observe(new Access(0, 1, resource, 5, AccessType.READ, 65536, Cause.DEMAND, true, 1));
    }
  }

  private static List<Long> expected(Forecaster.Cursor cursor) {
    Forecast forecast = new Forecast();
    cursor.forecast(100, 1_000_000_000, forecast);
    List<Long> resources = new ArrayList<>();
    for (int row = 0; row < forecast.size(); row++) {
      assertThat(forecast.probability(row)).isEqualTo(1);
      assertThat(forecast.experts(row)).isEqualTo(Expert.PEER.bit());
      assertThat(forecast.dueNanos(row)).isEqualTo(101 + row);
      resources.add(forecast.resource(row));
    }
    return resources;
  }

  /// Asks at its start for what it is told to, and remembers what became of it.
  private static final class Asking implements Prefetcher, Prefetcher.Copy {
    private final long[] pages;
    private final List<String> heard = new ArrayList<>();

    Asking(long... pages) {
      this.pages = pages;
    }

    @Override
    public Copy start(Fetches fetches) {
      for (long page : pages) {
        heard.add(page + " taken " + fetches.fetch(page));
      }
      return this;
    }

    @Override
    public long modelBytes() {
      return 0;
    }

    @Override
    public void demanded(Request request, Fetches fetches) {
      heard.add(request.first() + " demanded, missed " + request.missed());
    }

    @Override
    public void used(long page) {
      heard.add(page + " used");
    }

    @Override
    public void wasted(long page) {
      heard.add(page + " wasted");
    }

    @Override
    public void stop() {
      heard.add("stopped");
    }
  }

  @Test
  void whatIsAskedForIsExpectedInThatOrderUntilItIsDemanded() {
    Forecaster.Cursor cursor = new PeerForecaster(new Asking(9, 3, 7), 10).start(1, 0);
    assertThat(expected(cursor)).containsExactly(9L, 3L, 7L);
    assertThat(expected(cursor)).containsExactly(9L, 3L, 7L);
    touch(cursor, 3, 5);
    assertThat(expected(cursor)).containsExactly(9L, 7L);
  }

  @Test
  void thePrefetcherHearsWhatBecameOfIt() {
    Asking asking = new Asking(9, 9, 3, -1);
    Forecaster.Cursor cursor = new PeerForecaster(asking, 1).start(1, 0);
    touch(cursor, 3);
    cursor.stop(7);
    assertThat(asking.heard)
        .containsExactly(
            "9 taken true",
            "9 taken false",
            "3 taken true",
            "-1 taken false",
            "3 used",
            "3 demanded, missed 1",
            "9 wasted",
            "stopped");
  }

  @Test
  void whatWasAskedForFirstGivesWay() {
    Forecaster.Cursor cursor = new PeerForecaster(new Asking(1, 2, 3, 4), 3).start(1, 0);
    assertThat(expected(cursor)).containsExactly(2L, 3L, 4L);
  }

  @Test
  void readaheadKeepsItsWindowsAheadOfACopy() {
    Forecaster.Cursor cursor = new PeerForecaster(new Readahead(), 512).start(1, 0);
    assertThat(expected(cursor)).isEmpty();
    touch(cursor, 100);
    assertThat(expected(cursor)).containsExactly(pages(101, 103));
    touch(cursor, 101);
    assertThat(expected(cursor)).containsExactly(pages(102, 111));
    touch(cursor, 104);
    assertThat(expected(cursor)).hasSize(2 + 7 + 16).endsWith(pages(105, 127));
  }
}
