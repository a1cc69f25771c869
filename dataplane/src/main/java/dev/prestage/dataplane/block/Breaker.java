package dev.prestage.dataplane.block;

import java.time.Duration;

/// A circuit breaker for the staging from one origin. After [#FAILURES] failures in a row it admits
/// one lease after each pause, and pauses grow from a second to half a minute. It closes when the
/// origin answers any read, or when no lease came for half a minute after a pause; one more failure
/// then opens it again. Demand is never held back, and its results count.
///
/// Guarded by the [BlockStager]'s lock.
final class Breaker {
  /// An origin that fails half of its reads at random fails ten in a row once in 2,000 reads.
  static final int FAILURES = 10;

  private static final long FIRST_PAUSE_NANOS = Duration.ofSeconds(1).toNanos();
  private static final long LONGEST_PAUSE_NANOS = Duration.ofSeconds(30).toNanos();

  private int failures;

  /// The pause that runs now; 0 while the breaker is closed.
  private long pauseNanos;

  /// When that pause ends.
  private long untilNanos;

  /// The origin answered.
  void arrived() {
    failures = 0;
    pauseNanos = 0;
  }

  /// The origin failed, or did not answer in time.
  ///
  /// @return whether the breaker opened
  boolean failed(long nowNanos) {
    failures++;
    if (failures < FAILURES || pauseNanos > 0) {
      return false;
    }
    pauseNanos = FIRST_PAUSE_NANOS;
    untilNanos = nowNanos + pauseNanos;
    return true;
  }

  /// Whether a lease may be staged now. The lease that is admitted while the breaker is open is the
  /// try: it starts the next pause, twice as long.
  boolean admits(long nowNanos) {
    if (pauseNanos == 0) {
      return true;
    }
    if (nowNanos - untilNanos >= LONGEST_PAUSE_NANOS) {
      // No lease came for so long that the old failures say little.
      pauseNanos = 0;
      failures = FAILURES - 1;
      return true;
    }
    // A clock that steps back must not make it longer.
    if (nowNanos < untilNanos && untilNanos - nowNanos <= LONGEST_PAUSE_NANOS) {
      return false;
    }
    pauseNanos = Math.min(2 * pauseNanos, LONGEST_PAUSE_NANOS);
    untilNanos = nowNanos + pauseNanos;
    return true;
  }
}
