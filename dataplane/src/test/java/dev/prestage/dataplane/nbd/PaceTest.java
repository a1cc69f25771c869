package dev.prestage.dataplane.nbd;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/// Which clients count as slow.
class PaceTest {
  private static final long SECOND = 1_000_000_000;

  // 1,000 bytes a second, and ten seconds of patience.
  private final Pace pace = new Pace(1000, Duration.ofSeconds(10));

  /// Takes so many bytes each second and says in which second the client is found slow, or -1.
  private int secondsUntilSlow(int bytesPerSecond) {
    pace.owe(0);
    for (int second = 1; second <= 1000; second++) {
      pace.take(bytesPerSecond, second * SECOND);
      if (pace.isSlow(second * SECOND)) {
        return second;
      }
    }
    return -1;
  }

  @Test
  void whoTakesNothingIsSlowAfterThePatience() {
    assertThat(secondsUntilSlow(0)).isEqualTo(10);
  }

  @Test
  void whoTakesALittleNowAndThenIsSlowToo() {
    assertThat(secondsUntilSlow(10)).isEqualTo(11);
    pace.settle();
    assertThat(secondsUntilSlow(500)).isEqualTo(20);
  }

  @Test
  void whoTakesTheLeastPaceIsNeverSlow() {
    assertThat(secondsUntilSlow(1000)).isEqualTo(-1);
  }

  @Test
  void whatWasTakenFastEarlierBuysNoTime() {
    pace.owe(0);
    pace.take(1_000_000, SECOND);
    assertThat(pace.isSlow(10 * SECOND)).isFalse();
    assertThat(pace.isSlow(11 * SECOND)).isTrue();
  }

  @Test
  void whoHasNothingToTakeIsNotSlow() {
    assertThat(pace.isSlow(100 * SECOND)).isFalse();
    pace.owe(0);
    pace.settle();
    assertThat(pace.isSlow(100 * SECOND)).isFalse();
    pace.owe(200 * SECOND);
    assertThat(pace.isSlow(201 * SECOND)).isFalse();
  }
}
