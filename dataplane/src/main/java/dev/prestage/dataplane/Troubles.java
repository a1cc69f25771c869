package dev.prestage.dataplane;

import dev.prestage.dataplane.edge.Trouble;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.Frame;
import dev.prestage.link.host.Thinning;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/// Writes troubles to the log and hands them to the control plane, thinned out: of one kind a few
/// lines in each window, and then one line that says how many were left out.
final class Troubles implements Trouble {
  private static final Logger LOG = System.getLogger(Troubles.class.getName());
  private static final int MOST_WAITING = 64;

  private final Clock clock;
  private final Thinning thinning = new Thinning();
  private final Deque<Frame.Trouble> waiting = new ArrayDeque<>();

  Troubles(Clock clock) {
    this.clock = clock;
  }

  @Override
  public synchronized void report(String kind, String text) {
    int leftOut = thinning.admit(kind, text, clock.nanos());
    if (leftOut > 0) {
      tell(kind, leftOut + " more of this kind were left out");
    }
    if (leftOut != Thinning.LEAVE_OUT) {
      tell(kind, text);
    }
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
