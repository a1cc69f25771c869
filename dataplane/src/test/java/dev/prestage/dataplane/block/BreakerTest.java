package dev.prestage.dataplane.block;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class BreakerTest {
  private static final long SECOND = 1_000_000_000L;

  private final Breaker breaker = new Breaker();
  private long now = 1_000 * SECOND;

  private void fail(int times) {
    for (int i = 0; i < times; i++) {
      breaker.failed(now);
    }
  }

  private boolean admitsAfter(long seconds) {
    now += seconds * SECOND;
    return breaker.admits(now);
  }

  @Test
  void failuresThatAreNotInARowChangeNothing() {
    fail(Breaker.FAILURES - 1);
    breaker.arrived();
    fail(Breaker.FAILURES - 1);
    assertThat(breaker.admits(now)).isTrue();
    assertThat(breaker.takeOpened()).isFalse();
  }

  @Test
  void oneLeaseAtATimeTriesAndEachNextOneAfterTwiceTheTime() {
    fail(3 * Breaker.FAILURES);
    assertThat(breaker.takeOpened()).isTrue();
    assertThat(breaker.takeOpened()).as("said once").isFalse();
    assertThat(breaker.admits(now)).isFalse();
    assertThat(admitsAfter(1)).isTrue();
    assertThat(breaker.admits(now)).as("one").isFalse();
    fail(1);
    assertThat(admitsAfter(1)).isFalse();
    assertThat(admitsAfter(1)).isTrue();
    fail(1);
    for (int tries = 0; tries < 10; tries++) {
      assertThat(admitsAfter(30)).as("half a minute at most").isTrue();
      fail(1);
    }
    assertThat(admitsAfter(29)).isFalse();
    assertThat(breaker.takeOpened()).isFalse();
  }

  @Test
  void anAnswerEndsItAndItBeginsAnew() {
    fail(Breaker.FAILURES);
    breaker.arrived();
    assertThat(breaker.admits(now)).isTrue();
    assertThat(breaker.admits(now)).isTrue();
    fail(Breaker.FAILURES);
    assertThat(admitsAfter(0)).isFalse();
    assertThat(admitsAfter(1)).isTrue();
  }

  @Test
  void aClockThatStepsBackDoesNotKeepItAway() {
    fail(Breaker.FAILURES);
    assertThat(admitsAfter(-600)).isTrue();
    assertThat(breaker.admits(now)).isFalse();
  }
}
