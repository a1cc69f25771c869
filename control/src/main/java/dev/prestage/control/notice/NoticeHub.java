package dev.prestage.control.notice;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.stage.Notice;
import dev.prestage.engine.stage.Notices;
import dev.prestage.engine.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// Spreads notices to any number of listeners.
///
/// The newest notices lie in one ring. A listener is only a position in it, so a thousand listeners
/// hold no more memory than one, and one that reconnects goes on where it was as long as the ring
/// still has it. A listener that falls behind by the whole ring is cut off: its next call says so,
/// and whatever its thread hangs in is interrupted by the handler that it brought.
///
/// Ids ascend by one. The first id of a hub is its start in microseconds since the epoch, so ids go
/// on ascending over restarts (while fewer than a million notices a second are published).
///
/// Threading: any thread. Nothing waits while it holds the lock.
public final class NoticeHub implements Notices, AutoCloseable {
  /// A staged host of 100 VMs publishes some hundred notices a second: ten seconds or more to catch
  /// up. At about 150 bytes each the ring holds 1.2 MB.
  static final int KEPT = 8192;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition news = lock.newCondition();
  private final @Nullable Notice[] ring;
  private final long firstId;
  private final List<Listener> listeners = new ArrayList<>();
  private long nextId;
  private long cutOff;
  private boolean closed;

  /// A hub that keeps the last 8192 notices.
  public NoticeHub(Clock clock) {
    this(clock, KEPT);
  }

  NoticeHub(Clock clock, int kept) {
    this.ring = new Notice[kept];
    this.firstId = Math.max(1, clock.nanos() / 1_000);
    this.nextId = firstId;
  }

  /// Tells all listeners. Never waits for one.
  @Override
  public void publish(Notice notice) {
    List<Listener> slow = List.of();
    lock.lock();
    try {
      if (closed) {
        return;
      }
      long overwritten = nextId - ring.length;
      for (int i = listeners.size() - 1; i >= 0; i--) {
        Listener listener = listeners.get(i);
        if (listener.next <= overwritten) {
          listeners.remove(i);
          listener.state = State.CUT_OFF;
          cutOff++;
          if (slow.isEmpty()) {
            slow = new ArrayList<>();
          }
          slow.add(listener);
        }
      }
      ring[slot(nextId)] = notice;
      nextId++;
      news.signalAll();
    } finally {
      lock.unlock();
    }
    for (Listener listener : slow) {
      listener.whenCutOff.run();
    }
  }

  /// Listens to what is published from now on.
  ///
  /// @param whenCutOff runs on the publisher's thread when this listener is cut off; must return at
  ///   once
  public Listener listen(Runnable whenCutOff) {
    lock.lock();
    try {
      return add(nextId, 0, whenCutOff);
    } finally {
      lock.unlock();
    }
  }

  /// Listens to what came after the notice with this id, as far back as it is kept.
  public Listener listenAfter(long lastId, Runnable whenCutOff) {
    lock.lock();
    try {
      long wanted = lastId >= nextId ? nextId : lastId + 1; // an id from the future: from now on
      long oldest = Math.max(firstId, nextId - ring.length);
      return wanted < oldest
          ? add(oldest, oldest - wanted, whenCutOff)
          : add(wanted, 0, whenCutOff);
    } finally {
      lock.unlock();
    }
  }

  private Listener add(long next, long missed, Runnable whenCutOff) {
    Listener listener = new Listener(next, missed, whenCutOff);
    if (closed) {
      listener.state = State.CLOSED;
    } else {
      listeners.add(listener);
    }
    return listener;
  }

  /// Who listens now.
  public int listeners() {
    lock.lock();
    try {
      return listeners.size();
    } finally {
      lock.unlock();
    }
  }

  /// How many listeners did not keep up.
  public long cutOff() {
    lock.lock();
    try {
      return cutOff;
    } finally {
      lock.unlock();
    }
  }

  /// How many notices were published.
  public long published() {
    lock.lock();
    try {
      return nextId - firstId;
    } finally {
      lock.unlock();
    }
  }

  /// What this hub counts, for the metrics.
  public List<Reply.Counter> counters() {
    return List.of(
        new Reply.Counter("notices_published", Map.of(), true, published()),
        new Reply.Counter("notices_listeners_cut_off", Map.of(), true, cutOff()),
        new Reply.Counter("notices_listeners", Map.of(), false, listeners()));
  }

  /// Ends all listeners; what they have not read yet they can still read.
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      for (Listener listener : listeners) {
        listener.state = State.CLOSED;
      }
      listeners.clear();
      news.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private int slot(long id) {
    return (int) Math.floorMod(id, (long) ring.length);
  }

  /// A notice with its place in the order of all.
  public record Entry(long id, Notice notice) {}

  /// How a listener stands.
  public enum State {
    /// It gets what is published.
    LISTENING,
    /// It fell behind by everything that is kept.
    CUT_OFF,
    /// It, or the hub, was closed.
    CLOSED
  }

  /// One listener, used by one thread; only [#close] is for any.
  public final class Listener implements AutoCloseable {
    private final Runnable whenCutOff;
    private final long missed;
    private long next;
    private State state = State.LISTENING;

    private Listener(long next, long missed, Runnable whenCutOff) {
      this.next = next;
      this.missed = missed;
      this.whenCutOff = whenCutOff;
    }

    /// How many ids between the one it asked for and its first are no longer kept. After a restart
    /// of the control plane that is not the number of notices, but it says that some may be gone.
    public long missed() {
      return missed;
    }

    /// The next notice.
    ///
    /// @return null when the time has passed, or at once when there will be no more; [#state] tells
    ///   which
    public @Nullable Entry next(Duration wait) throws InterruptedException {
      lock.lock();
      try {
        long left = wait.toNanos();
        while (true) {
          if (state == State.CUT_OFF) {
            return null;
          }
          if (next < nextId) {
            Notice notice = ring[slot(next)];
            return notice == null ? null : new Entry(next++, notice);
          }
          if (state == State.CLOSED || left <= 0) {
            return null;
          }
          left = news.awaitNanos(left);
        }
      } finally {
        lock.unlock();
      }
    }

    /// Whether more can come.
    public State state() {
      lock.lock();
      try {
        return state;
      } finally {
        lock.unlock();
      }
    }

    /// Stops listening; a thread that waits in [#next] returns.
    @Override
    public void close() {
      lock.lock();
      try {
        listeners.remove(this);
        if (state == State.LISTENING) {
          state = State.CLOSED;
        }
        next = Long.MAX_VALUE; // its place in the ring is no longer kept for it
        news.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }
}
