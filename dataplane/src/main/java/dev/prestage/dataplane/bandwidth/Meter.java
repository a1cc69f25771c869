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
  private static final long FIRST = Long.MIN_VALUE / 2;

  // After a sleep of the host nobody needs to hear of each window of it.
  private static final int MOST_EMPTY = 240;

  private final long levelBytes;
  private final int levels;
  private long beganNanos = FIRST;
  private long bytes;
  private int reached;
  private int before;
  private Ended ended = _ -> {};

  /// Hears what was asked for in each window, one after the other.
  @FunctionalInterface
  interface Ended {
    void window(long bytes);
  }

  /// @param levelBytes one level, in bytes per second
  /// @param levels how many there are
  Meter(long levelBytes, int levels) {
    this.levelBytes = Math.max(1, levelBytes * WINDOW_NANOS / NANOS_PER_SECOND);
    this.levels = levels;
  }

  /// From now on, who hears of windows that end.
  void onEnd(Ended hears) {
    ended = hears;
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
      boolean first = beganNanos == FIRST;
      before = passed == 1 ? reached : 0;
      for (long i = 0; !first && i < Math.min(passed, MOST_EMPTY); i++) {
        ended.window(i == 0 ? bytes : 0);
      }
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
