package dev.prestage.control.vm.xen;

import static java.lang.System.Logger.Level.WARNING;
import static java.nio.charset.StandardCharsets.UTF_8;

import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.HypervisorException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/// Hears from xenstore that domains appear or end, looks at all domains, and tells what changed.
///
/// A rename is not said by xenstore: it is seen by the look that follows at the latest after a
/// minute.
final class DomainWatch implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(DomainWatch.class.getName());

  /// Also finds out that a connection over a network is dead.
  private static final Duration LOOK_EVERY = Duration.ofMinutes(1);

  /// A domain is introduced a moment before its configuration is known.
  private static final Duration FIRST_LOOK_AGAIN = Duration.ofMillis(500);

  private final Process child;
  private final Looker looker;
  private final Consumer<GuestEvent> listener;
  private final Semaphore heard = new Semaphore(0);
  private final Thread reader;
  private final Thread thread;
  private Inventory seen;
  private volatile boolean alive = true;
  private volatile boolean closing;

  /// Whether it was watching: what keeps it from that is thrown, and not logged as well.
  private volatile boolean following;

  private volatile String trouble = "it says nothing";

  /// Looks at all domains.
  @FunctionalInterface
  interface Looker {
    Inventory look() throws HypervisorException;
  }

  /// Tells what happens from now on.
  static DomainWatch start(XenTools tools, Looker looker, Consumer<GuestEvent> listener)
      throws HypervisorException {
    Process child =
        tools.start("xenstore-watch", "@introduceDomain", "@releaseDomain", "/prestage");
    DomainWatch watch = new DomainWatch(child, looker, listener);
    watch.reader.start();
    boolean started = false;
    try {
      // xenstore says each path once when its watch is set.
      if (!watch.heard.tryAcquire(tools.deadline().toMillis(), TimeUnit.MILLISECONDS)
          || !watch.alive) {
        throw new HypervisorException("'xenstore-watch' watches nothing: " + watch.trouble);
      }
      watch.seen = looker.look();
      watch.following = true;
      watch.thread.start();
      started = true;
      return watch;
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new HypervisorException("'xenstore-watch' was not waited for any more");
    } finally {
      if (!started) {
        watch.close();
      }
    }
  }

  private DomainWatch(Process child, Looker looker, Consumer<GuestEvent> listener) {
    this.child = child;
    this.looker = looker;
    this.listener = listener;
    this.seen = new Inventory(Map.of(), true);
    this.reader = Thread.ofVirtual().name("xen-watch-reader").unstarted(this::read);
    this.thread = Thread.ofVirtual().name("xen-watch-looks").unstarted(this::follow);
  }

  boolean isAlive() {
    return alive && child.isAlive();
  }

  private void read() {
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(child.getInputStream(), UTF_8))) {
      while (lines.readLine() != null) {
        heard.release();
      }
    } catch (IOException _) {
      // It ended, which is said below.
    }
    awaitEnd();
    trouble = XenTools.lastWords(child);
    end("xenstore is not watched any more: " + trouble);
  }

  private void awaitEnd() {
    try {
      child.waitFor(1, TimeUnit.SECONDS);
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  private void follow() {
    Duration pause = LOOK_EVERY;
    Duration again = FIRST_LOOK_AGAIN;
    try {
      while (alive) {
        if (heard.tryAcquire(pause.toMillis(), TimeUnit.MILLISECONDS)) {
          heard.drainPermits();
          again = FIRST_LOOK_AGAIN;
        }
        Inventory now = looker.look();
        seen.changesTo(now).forEach(listener);
        seen = now;
        pause = now.complete() ? LOOK_EVERY : again;
        Duration twice = again.multipliedBy(2);
        again = twice.compareTo(LOOK_EVERY) < 0 ? twice : LOOK_EVERY;
      }
    } catch (InterruptedException _) {
      // It is closed.
    } catch (HypervisorException e) {
      end(e.getMessage() + "");
    }
  }

  private void end(String trouble) {
    if (following && alive && !closing) {
      LOG.log(WARNING, trouble);
    }
    alive = false;
    heard.release();
    XenTools.kill(child);
  }

  @Override
  public void close() {
    closing = true;
    alive = false;
    thread.interrupt();
    XenTools.kill(child);
  }
}
