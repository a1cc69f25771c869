package dev.prestage.dataplane.block;

import java.time.Duration;

/// Whether an origin is asked for what nobody waits for. After so many failures in a row it is not,
/// except for one lease from time to time, until it answers something again. Demand is tried
/// whatever this says, and tells how it went.
///
/// Guarded by the [BlockStager]'s lock.
final class Breaker {
  /// An origin that fails every other read does so ten times in a row once in a thousand reads.
  static final int FAILURES = 10;

  private static final long FIRST_PAUSE_NANOS = Duration.ofSeconds(1).toNanos();
  private static final long LONGEST_PAUSE_NANOS = Duration.ofSeconds(30).toNanos();

  private int failures;

  /// How long after the next try nothing is tried; 0 while all is well.
  private long pauseNanos;

  private long untilNanos;

  /// The origin answered.
  void arrived() {
    failures = 0;
    pauseNanos = 0;
  }

  /// The origin failed, or did not answer in time.
  ///
  /// @return whether it is left alone from now on, and was not before
  boolean failed(long nowNanos) {
    failures++;
    if (failures < FAILURES || pauseNanos > 0) {
      return false;
    }
    pauseNanos = FIRST_PAUSE_NANOS;
    untilNanos = nowNanos + pauseNanos;
    return true;
  }

  /// Whether a lease may be staged now. If the origin is left alone, it is the one that tries, and
  /// the next may after twice the time.
  boolean admits(long nowNanos) {
    if (pauseNanos == 0) {
      return true;
    }
    if (nowNanos - untilNanos >= LONGEST_PAUSE_NANOS) {
      // Nobody has asked for so long that what it did then says little.
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
