package dev.prestage.simulator.policy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ReapTest {
  private final Asked host = new Asked();

  private static void touch(Forecaster.Cursor cursor, long... resources) {
    for (long resource : resources) {
      cursor.observe(new Access(0, 1, resource, 5, AccessType.READ, 65536, Cause.DEMAND, false, 1));
    }
  }

  private static List<Long> expected(Forecaster.Cursor cursor) {
    Forecast forecast = new Forecast();
    cursor.forecast(100, 1_000_000_000, forecast);
    List<Long> resources = new ArrayList<>();
    for (int row = 0; row < forecast.size(); row++) {
      assertThat(forecast.probability(row)).isEqualTo(1);
      assertThat(row == 0 || forecast.dueNanos(row) > forecast.dueNanos(row - 1)).isTrue();
      resources.add(forecast.resource(row));
    }
    return resources;
  }

  private static void run(Prefetcher prefetcher, long... pages) {
    Prefetcher.Copy copy = prefetcher.start(new Asked());
    for (long page : pages) {
      copy.demanded(new Request(0, page, 1, false, 1), new Asked());
    }
    copy.stop();
  }

  private static List<Long> favourites(Prefetcher.Copy copy) {
    Forecast forecast = new Forecast();
    copy.next(forecast);
    return forecast.size() == 0 ? List.of() : List.of(forecast.resource(0));
  }

  @Test
  void theLastRunIsFetchedAtTheStartInItsOrder() {
    Reap reap = new Reap(new long[] {5L, 2L});
    reap.start(host);
    assertThat(host.news()).containsExactly(5L, 2L);
    run(reap, 9, 3, 9, 7);
    Asked next = new Asked();
    reap.start(next);
    assertThat(next.news()).containsExactly(9L, 3L, 7L);
    assertThat(reap.modelBytes()).isEqualTo(24);
  }

  @Test
  void whatFoundNoRoomAtTheStartIsAskedForAfterEachRequest() {
    Asked narrow = new Asked(2);
    Prefetcher.Copy copy = new Reap(new long[] {1L, 2L, 3L, 4L, 5L, 6L}).start(narrow);
    assertThat(narrow.news()).containsExactly(1L, 2L);
    assertThat(narrow.after(copy, 4)).containsExactly(3L, 5L);
    assertThat(narrow.after(copy, 1)).containsExactly(6L);
  }

  @Test
  void theNextOfTheListThatWasNotTouchedIsExpected() {
    Prefetcher.Copy copy = new Reap(new long[] {1L, 2L, 3L}).start(host);
    assertThat(favourites(copy)).containsExactly(1L);
    host.after(copy, 1);
    host.after(copy, 3);
    assertThat(favourites(copy)).containsExactly(2L);
    host.after(copy, 2);
    assertThat(favourites(copy)).isEmpty();
  }

  @Test
  void theUnionIsOrderedByMeanRank() {
    ReapUnion union = new ReapUnion();
    run(union, 10, 20, 30, 40);
    run(union, 40, 10, 50);
    // Mean ranks: 10 is at .5, 20 at 1, 40 at 1.5, 30 and 50 at 2.
    union.start(host);
    assertThat(host.news()).containsExactly(10L, 20L, 40L, 30L, 50L);
  }

  @Test
  void aRunThatTouchedNothingIsForgotten() {
    Reap reap = new Reap();
    ReapUnion union = new ReapUnion();
    run(reap, 1);
    run(reap);
    run(union, 1);
    run(union);
    reap.start(host);
    assertThat(host.news()).containsExactly(1L);
    Asked other = new Asked();
    union.start(other);
    assertThat(other.news()).containsExactly(1L);
  }

  @Test
  void theProductStagesTheLastRunInItsOrderWithoutWhatWasSeen() {
    Forecaster replay = new PeerForecaster(new Reap(), Integer.MAX_VALUE);
    Forecaster.Cursor first = replay.start(1, 0);
    assertThat(expected(first)).isEmpty();
    touch(first, 9, 3, 9, 7);
    first.stop(1);
    Forecaster.Cursor second = replay.start(1, 50);
    assertThat(expected(second)).containsExactly(9L, 3L, 7L);
    touch(second, 3, 4);
    assertThat(expected(second)).containsExactly(9L, 7L);
    second.stop(2);
    replay.start(1, 60).stop(61);
    assertThat(expected(replay.start(1, 70))).containsExactly(3L, 4L);
  }
}
