package dev.prestage.dataplane.bandwidth;

import java.time.Duration;

/// How much a VM asks of a link, as a level: the bytes of the window that runs, or of the one
/// before, whichever reached more. A level is reached as soon as its bytes were asked for, and left
/// after a whole window that did not reach it.
final class Meter {
  /// Half a second: short against a burst of some seconds, and long enough that a single read of 1
  /// MiB is 2 MB/s and not 20.
  static final long WINDOW_NANOS = Duration.ofMillis(500).toNanos();

  private static final long NANOS_PER_SECOND = 1_000_000_000L;

  private final long levelBytes;
  private final int levels;
  private long beganNanos = Long.MIN_VALUE / 2;
  private long bytes;
  private int reached;
  private int before;

  /// @param levelBytes one level, in bytes per second
  /// @param levels how many there are
  Meter(long levelBytes, int levels) {
    this.levelBytes = Math.max(1, levelBytes * WINDOW_NANOS / NANOS_PER_SECOND);
    this.levels = levels;
  }

  /// So many bytes are asked for.
  void add(int amount, long nowNanos) {
    turn(nowNanos);
    bytes += amount;
    reached = (int) Math.min(levels, bytes / levelBytes);
  }

  /// Ends windows whose time is over.
  void turn(long nowNanos) {
    long passed = (nowNanos - beganNanos) / WINDOW_NANOS;
    if (passed > 0) {
      before = passed == 1 ? reached : 0;
      beganNanos += passed * WINDOW_NANOS;
      bytes = 0;
      reached = 0;
    }
  }

  /// How many levels are in use.
  int level() {
    return Math.max(before, reached);
  }
}
