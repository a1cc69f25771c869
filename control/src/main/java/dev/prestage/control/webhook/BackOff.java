package dev.prestage.control.webhook;

import java.time.Duration;

/// How a notice that a receiver does not take is tried again.
///
/// @param first the pause after the first attempt; it doubles with each
/// @param longest the longest pause
/// @param attempts after so many the notice is a dead letter
record BackOff(Duration first, Duration longest, int attempts) {
  /// Half a second, then up to half a minute: twelve attempts take three to five minutes, in which
  /// a receiver has been restarted.
  static final BackOff DEFAULT = new BackOff(Duration.ofMillis(500), Duration.ofSeconds(30), 12);

  /// The pause after so many attempts.
  Duration after(int attempts) {
    Duration pause = first;
    for (int i = 1; i < attempts && pause.compareTo(longest) < 0; i++) {
      pause = pause.multipliedBy(2);
    }
    return pause.compareTo(longest) < 0 ? pause : longest;
  }
}
