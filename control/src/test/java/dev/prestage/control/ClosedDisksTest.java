package dev.prestage.control;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// When a VM that nobody stops is taken to have stopped.
class ClosedDisksTest {
  private static final long SECOND = 1_000_000_000;

  private final ClosedDisks disks = new ClosedDisks(Duration.ofSeconds(60));

  private List<String> heard(long seconds, long connections) {
    return disks.heard(Map.of("vm", connections), seconds * SECOND);
  }

  @Test
  void aDiskThatStaysClosedEndsTheRunOnce() {
    assertThat(heard(0, 1)).isEmpty();
    assertThat(heard(1, 0)).isEmpty();
    assertThat(heard(60, 0)).isEmpty();
    assertThat(heard(61, 0)).containsExactly("vm");
    assertThat(heard(200, 0)).isEmpty();
  }

  @Test
  void aGuestThatComesBackInTimeGoesOnRunning() {
    heard(0, 2);
    heard(1, 0);
    assertThat(heard(50, 1)).isEmpty();
    heard(51, 0);
    assertThat(heard(100, 0)).isEmpty();
    assertThat(heard(111, 0)).containsExactly("vm");
  }

  @Test
  void aVmThatHasNotConnectedYetHasNotEnded() {
    assertThat(heard(0, 0)).isEmpty();
    assertThat(heard(1000, 0)).isEmpty();
  }

  @Test
  void aStartForgetsWhatTheDiskDidBefore() {
    heard(0, 1);
    heard(1, 0);
    disks.started("vm");
    assertThat(heard(100, 0)).isEmpty();
  }

  @Test
  void aVmThatIsGoneIsForgotten() {
    heard(0, 1);
    heard(1, 0);
    disks.heard(Map.of(), 2 * SECOND);
    assertThat(heard(100, 0)).isEmpty();
  }

  @Test
  void withoutPatienceNoRunIsEnded() {
    ClosedDisks never = new ClosedDisks(Duration.ZERO);
    never.heard(Map.of("vm", 1L), 0);
    never.heard(Map.of("vm", 0L), 1);
    assertThat(never.heard(Map.of("vm", 0L), Long.MAX_VALUE)).isEmpty();
  }
}
