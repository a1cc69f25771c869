package dev.prestage.link.host;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/// Keeps a log readable when the same thing happens all the time: of one kind it lets a few lines
/// through in each window, and counts the rest. Any thread may ask.
public final class Thinning {
  /// The line is one too many.
  public static final int LEAVE_OUT = -1;

  // A person reads a handful of lines; the counters have the exact numbers.
  private static final int LINES_PER_WINDOW = 5;
  private static final long WINDOW_NANOS = Duration.ofSeconds(10).toNanos();

  private final Map<String, Window> windows = new HashMap<>();

  private static final class Window {
    long beganNanos;
    int lines;
    int leftOut;
    String last = "";
  }

  /// Whether a line may be written.
  ///
  /// @param kind one word out of few: each kind is remembered
  /// @param text one that equals the last line of its kind is left out
  /// @return [#LEAVE_OUT], or how many lines of this kind were left out before this one
  public synchronized int admit(String kind, String text, long nowNanos) {
    Window window = windows.computeIfAbsent(kind, _ -> new Window());
    int before = 0;
    if (window.lines == 0 || nowNanos - window.beganNanos >= WINDOW_NANOS) {
      before = window.leftOut;
      window.beganNanos = nowNanos;
      window.lines = 0;
      window.leftOut = 0;
    } else if (window.lines >= LINES_PER_WINDOW || window.last.equals(text)) {
      window.leftOut++;
      return LEAVE_OUT;
    }
    window.lines++;
    window.last = text;
    return before;
  }
}
