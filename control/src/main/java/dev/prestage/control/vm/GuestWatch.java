package dev.prestage.control.vm;

import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.command.Commands;
import dev.prestage.control.command.Reply;
import dev.prestage.control.vm.VmTeller.Deed;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/// Follows a hypervisor's guests: a registered VM whose guest starts or stops has its program
/// started or stopped, and one whose guest is gone is removed. What its manager would have to say
/// by hand, it hears by itself; saying it all the same is harmless.
///
/// A guest that is attached and not registered is registered with what its definition says, as
/// after a removal and a new definition. Guests that are neither are left alone.
///
/// One thread asks the hypervisor and sends the commands. Events wait in a bounded queue, of which
/// each connection has its own; when that is full, or after a connection was lost, all guests are
/// looked at instead. Whatever goes wrong, the thread connects again. Commands that the control
/// plane cannot take now are sent later ([VmTeller]).
///
/// A hypervisor that does not answer holds up this thread and nothing else; [#state] says so.
public final class GuestWatch implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(GuestWatch.class.getName());

  /// Starting every guest of a large host gives some thousand events.
  static final int QUEUED_EVENTS = 4096;

  private static final Duration LOOK = Duration.ofSeconds(1);
  private static final Duration FIRST_PAUSE = Duration.ofSeconds(1);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);

  /// A daemon answers within milliseconds, and within seconds where many domains start.
  private static final Duration HANGS_AFTER = Duration.ofSeconds(15);

  private final VmTeller teller;
  private final Connector connector;
  private final Duration firstPause;
  private final Duration hangsAfter;
  private final Thread thread;
  private final AtomicLong heard = new AtomicLong();
  private final AtomicLong looks = new AtomicLong();
  private final AtomicLong moves = new AtomicLong();

  /// The VMs of guests that were seen, by the guests' ids.
  private final Map<String, String> known = new HashMap<>();

  /// The ids of guests that run.
  private final Set<String> running = new HashSet<>();

  /// The ids of guests that run and have no definition any more.
  private final Set<String> undefined = new HashSet<>();

  private volatile String state = "not connected yet";

  /// When the hypervisor was asked what it has not answered yet.
  private volatile @Nullable Long askedNanos;

  private volatile boolean closing;

  /// Makes connections to a hypervisor.
  public interface Connector extends AutoCloseable {
    /// What it is, for messages.
    String name();

    /// Connects.
    ///
    /// @throws HypervisorException one line that says why it cannot be connected to
    Hypervisor connect() throws HypervisorException;

    @Override
    void close();
  }

  /// What one connection said and was not handled yet.
  private static final class Inbox {
    private final BlockingQueue<GuestEvent> events = new ArrayBlockingQueue<>(QUEUED_EVENTS);
    private final AtomicBoolean overflowed = new AtomicBoolean();
  }

  /// Asks the hypervisor something.
  @FunctionalInterface
  private interface Question<T> {
    T ask() throws HypervisorException;
  }

  /// Follows from now on.
  public static GuestWatch start(Commands commands, Connector connector) {
    return start(commands, connector, FIRST_PAUSE, HANGS_AFTER);
  }

  static GuestWatch start(
      Commands commands, Connector connector, Duration firstPause, Duration hangsAfter) {
    GuestWatch watch = new GuestWatch(commands, connector, firstPause, hangsAfter);
    watch.thread.start();
    return watch;
  }

  private GuestWatch(
      Commands commands, Connector connector, Duration firstPause, Duration hangsAfter) {
    this.teller = new VmTeller(commands, connector.name());
    this.connector = connector;
    this.firstPause = firstPause;
    this.hangsAfter = hangsAfter;
    this.thread =
        Thread.ofPlatform().name(connector.name() + "-watch").daemon().unstarted(this::run);
  }

  /// `ok`, or one line that says what is wrong.
  public String state() {
    Long since = askedNanos;
    if (since != null) {
      Duration silent = Duration.ofNanos(System.nanoTime() - since);
      if (silent.compareTo(hangsAfter) > 0) {
        return "%s has not answered for %d s: its daemon hangs; guests go on without it"
            .formatted(connector.name(), silent.toSeconds());
      }
    }
    String waiting = teller.waiting();
    return state.equals("ok") && !waiting.isEmpty() ? waiting + "; told again by itself" : state;
  }

  /// What was heard, as the API's counters.
  public List<Reply.Counter> counters() {
    Map<String, String> labels = Map.of("hypervisor", connector.name());
    return List.of(
        new Reply.Counter("guest_events", labels, true, heard.get()),
        new Reply.Counter("guest_inventories", labels, true, looks.get()),
        new Reply.Counter("guest_moves", labels, true, moves.get()));
  }

  private void run() {
    Duration pause = firstPause;
    while (!closing) {
      try {
        if (followOneConnection()) {
          pause = firstPause;
        }
        TimeUnit.NANOSECONDS.sleep(pause.toNanos());
      } catch (InterruptedException _) {
        // Closing is looked at next; nobody else interrupts on purpose.
        continue;
      }
      pause = min(pause.multipliedBy(2), LONGEST_PAUSE);
    }
  }

  /// Connects, and follows for as long as that lasts.
  ///
  /// @return whether it was connected
  private boolean followOneConnection() throws InterruptedException {
    boolean connected = false;
    try (Hypervisor hypervisor = ask(connector::connect)) {
      Inbox inbox = new Inbox();
      ask(() -> {
        hypervisor.watch(event -> queue(inbox, event));
        return true;
      });
      look(hypervisor);
      LOG.log(INFO, "following the guests of {0}", connector.name());
      state = "ok";
      connected = true;
      follow(hypervisor, inbox);
    } catch (HypervisorException e) {
      say(e.getMessage() + "");
    } catch (InterruptedException e) {
      throw e;
    } catch (Throwable e) {
      // Also errors: the thread is the only one, and what failed once may work the next time.
      say("following guests failed: " + e + "; see the log");
      LOG.log(WARNING, "following guests failed", e);
    }
    return connected;
  }

  private <T> T ask(Question<T> question) throws HypervisorException {
    askedNanos = System.nanoTime();
    try {
      return question.ask();
    } finally {
      askedNanos = null;
    }
  }

  private static Duration min(Duration one, Duration other) {
    return one.compareTo(other) < 0 ? one : other;
  }

  private void say(String trouble) {
    String line = trouble + "; tried again by itself, and guests go on without it";
    boolean known = line.equals(state);
    state = line;
    if (!known) {
      LOG.log(WARNING, line);
    }
  }

  private void queue(Inbox inbox, GuestEvent event) {
    heard.incrementAndGet();
    if (!inbox.events.offer(event)) {
      inbox.overflowed.set(true);
    }
  }

  private void follow(Hypervisor hypervisor, Inbox inbox)
      throws HypervisorException, InterruptedException {
    long retriedNanos = System.nanoTime();
    while (!closing) {
      GuestEvent event = inbox.events.poll(LOOK.toMillis(), TimeUnit.MILLISECONDS);
      if (inbox.overflowed.getAndSet(false)) {
        inbox.events.clear();
        look(hypervisor);
      } else if (event != null) {
        handle(hypervisor, event);
      } else if (!ask(hypervisor::isAlive)) {
        throw new HypervisorException(
            "the connection to " + connector.name() + " ended: its daemon was stopped or hangs");
      }
      if (System.nanoTime() - retriedNanos >= LOOK.toNanos()) {
        teller.retry(LOOK);
        retriedNanos = System.nanoTime();
      }
    }
  }

  // ---- what guests do

  private void handle(Hypervisor hypervisor, GuestEvent event)
      throws HypervisorException, InterruptedException {
    String id = event.id();
    switch (event.kind()) {
      case DEFINED -> {
        Guest guest = find(hypervisor, event);
        if (guest != null) {
          undefined.remove(id);
          learn(guest);
        }
      }
      case STARTED -> {
        Guest guest = find(hypervisor, event);
        if (guest != null) {
          learn(guest);
        }
        // One that is gone again was started all the same: its stop follows.
        running.add(id);
        teller.tell(vm(event), Deed.STARTED);
      }
      case STOPPED -> {
        running.remove(id);
        teller.tell(vm(event), Deed.STOPPED);
        if (undefined.remove(id)) {
          remove(event);
        }
      }
      case UNDEFINED -> {
        if (running.contains(id)) {
          undefined.add(id);
        } else {
          remove(event);
        }
      }
      // Its run goes on, and what is known of it is no other host's business.
      case MOVED -> {
        moves.incrementAndGet();
        LOG.log(INFO, "{0} was moved to another host", event.name());
      }
    }
  }

  private String vm(GuestEvent event) {
    return known.getOrDefault(event.id(), event.name());
  }

  private void remove(GuestEvent event) throws InterruptedException {
    String vm = vm(event);
    known.remove(event.id());
    teller.tell(vm, Deed.GONE);
  }

  private @Nullable Guest find(Hypervisor hypervisor, GuestEvent event) throws HypervisorException {
    try {
      return ask(() -> hypervisor.guest(event.name()));
    } catch (HypervisorException e) {
      if (e.isGone()) {
        return null;
      }
      throw e;
    }
  }

  /// Looks at all guests: what happened before or between connections was not said. Without an
  /// answer nothing is known, and nothing is taken for gone.
  private void look(Hypervisor hypervisor) throws HypervisorException, InterruptedException {
    looks.incrementAndGet();
    Set<String> ran = new HashSet<>(running);
    for (Guest guest : ask(hypervisor::guests)) {
      String id = guest.id();
      learn(guest);
      ran.remove(id);
      if (guest.running()) {
        running.add(id);
        teller.tell(guest.vm(), Deed.STARTED);
      } else if (running.remove(id) || guest.attachment() != null) {
        teller.tell(guest.vm(), Deed.FOUND_STOPPED);
      }
    }
    // A definition that is not there now may come back; a registration would not.
    for (String id : ran) {
      running.remove(id);
      undefined.remove(id);
      String vm = known.remove(id);
      if (vm != null) {
        teller.tell(vm, Deed.FOUND_STOPPED);
      }
    }
  }

  private void learn(Guest guest) throws InterruptedException {
    known.put(guest.id(), guest.vm());
    Attachment attachment = guest.attachment();
    if (attachment != null) {
      teller.register(attachment);
    }
  }

  /// Ends the thread; a call to a daemon that hangs is not waited for.
  @Override
  public void close() {
    closing = true;
    thread.interrupt();
    try {
      thread.join(Duration.ofSeconds(2));
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
    connector.close();
  }
}
