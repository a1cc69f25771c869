package dev.prestage.dataplane.block;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class BreakerTest {
  private static final long SECOND = 1_000_000_000L;

  private final Breaker breaker = new Breaker();
  private long now = 1_000 * SECOND;

  /// How often it was opened.
  private int fail(int times) {
    int opened = 0;
    for (int i = 0; i < times; i++) {
      opened += breaker.failed(now) ? 1 : 0;
    }
    return opened;
  }

  private boolean admitsAfter(long seconds) {
    now += seconds * SECOND;
    return breaker.admits(now);
  }

  @Test
  void failuresThatAreNotInARowChangeNothing() {
    assertThat(fail(Breaker.FAILURES - 1)).isZero();
    breaker.arrived();
    assertThat(fail(Breaker.FAILURES - 1)).isZero();
    assertThat(breaker.admits(now)).isTrue();
  }

  @Test
  void oneLeaseAtATimeTriesAndEachNextOneAfterTwiceTheTime() {
    assertThat(fail(3 * Breaker.FAILURES)).as("said once").isEqualTo(1);
    assertThat(breaker.admits(now)).isFalse();
    assertThat(admitsAfter(1)).isTrue();
    assertThat(breaker.admits(now)).as("one").isFalse();
    fail(1);
    assertThat(admitsAfter(1)).isFalse();
    assertThat(admitsAfter(1)).isTrue();
    fail(1);
    for (int tries = 0; tries < 10; tries++) {
      assertThat(admitsAfter(30)).as("half a minute at most").isTrue();
      assertThat(fail(1)).isZero();
    }
    assertThat(admitsAfter(29)).isFalse();
  }

  @Test
  void whatItDidLongAgoSaysLittle() {
    fail(Breaker.FAILURES);
    assertThat(admitsAfter(31)).isTrue();
    assertThat(breaker.admits(now)).as("all of many leases").isTrue();
    assertThat(fail(1)).as("and one failure more is enough").isEqualTo(1);
    assertThat(breaker.admits(now)).isFalse();
  }

  @Test
  void anAnswerEndsItAndItBeginsAnew() {
    fail(Breaker.FAILURES);
    breaker.arrived();
    assertThat(breaker.admits(now)).isTrue();
    assertThat(breaker.admits(now)).isTrue();
    assertThat(fail(Breaker.FAILURES)).isEqualTo(1);
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
