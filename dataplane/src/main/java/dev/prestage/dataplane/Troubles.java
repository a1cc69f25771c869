package dev.prestage.dataplane;

import dev.prestage.dataplane.block.Trouble;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.Frame;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Writes troubles to the log and hands them to the control plane, thinned out: of one kind a few
/// lines in each window, and then one line that says how many were left out.
final class Troubles implements Trouble {
  private static final Logger LOG = System.getLogger(Troubles.class.getName());
  // A person reads a handful of lines; the counters have the exact numbers.
  private static final int LINES_PER_WINDOW = 5;
  private static final long WINDOW_NANOS = Duration.ofSeconds(10).toNanos();
  private static final int MOST_WAITING = 64;

  private final Clock clock;
  private final Map<String, Window> windows = new HashMap<>();
  private final Deque<Frame.Trouble> waiting = new ArrayDeque<>();

  Troubles(Clock clock) {
    this.clock = clock;
  }

  private static final class Window {
    long beganNanos;
    int lines;
    int leftOut;
    String last = "";
  }

  @Override
  public synchronized void report(String kind, String text) {
    long now = clock.nanos();
    Window window = windows.computeIfAbsent(kind, _ -> new Window());
    if (window.lines == 0 || now - window.beganNanos >= WINDOW_NANOS) {
      if (window.leftOut > 0) {
        tell(kind, window.leftOut + " more of this kind were left out");
      }
      window.beganNanos = now;
      window.lines = 0;
      window.leftOut = 0;
    } else if (window.lines >= LINES_PER_WINDOW || window.last.equals(text)) {
      window.leftOut++;
      return;
    }
    window.lines++;
    window.last = text;
    tell(kind, text);
  }

  private void tell(String kind, String text) {
    LOG.log(Level.WARNING, "{0}: {1}", kind, text);
    if (waiting.size() == MOST_WAITING) {
      waiting.removeFirst();
    }
    waiting.addLast(new Frame.Trouble(kind, text));
  }

  /// The next one for the control plane, or null.
  synchronized Frame.@Nullable Trouble poll() {
    return waiting.pollFirst();
  }
}
