package dev.prestage.control.vm;

import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Commands;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.engine.resource.ResourceType;
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
/// One thread asks the hypervisor and sends the commands. Events wait in a bounded queue; when that
/// is full, or after a connection was lost, all guests are looked at instead.
public final class GuestWatch implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(GuestWatch.class.getName());

  /// Starting every guest of a large host gives some thousand events.
  static final int QUEUED_EVENTS = 4096;

  private static final Duration LOOK = Duration.ofSeconds(1);
  private static final Duration FIRST_PAUSE = Duration.ofSeconds(1);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);

  private final Commands commands;
  private final Connector connector;
  private final Duration firstPause;
  private final Thread thread;
  private final BlockingQueue<GuestEvent> events = new ArrayBlockingQueue<>(QUEUED_EVENTS);
  private final AtomicBoolean overflowed = new AtomicBoolean();
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

  /// Follows from now on.
  public static GuestWatch start(Commands commands, Connector connector) {
    return start(commands, connector, FIRST_PAUSE);
  }

  static GuestWatch start(Commands commands, Connector connector, Duration firstPause) {
    GuestWatch watch = new GuestWatch(commands, connector, firstPause);
    watch.thread.start();
    return watch;
  }

  private GuestWatch(Commands commands, Connector connector, Duration firstPause) {
    this.commands = commands;
    this.connector = connector;
    this.firstPause = firstPause;
    this.thread =
        Thread.ofPlatform().name(connector.name() + "-watch").daemon().unstarted(this::run);
  }

  /// `ok`, or one line that says what is wrong.
  public String state() {
    return state;
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
      try (Hypervisor hypervisor = connector.connect()) {
        hypervisor.watch(this::queue);
        look(hypervisor);
        LOG.log(INFO, "following the guests of {0}", connector.name());
        state = "ok";
        pause = firstPause;
        follow(hypervisor);
      } catch (HypervisorException e) {
        say(e.getMessage() + "");
      } catch (InterruptedException _) {
        return;
      } catch (RuntimeException e) {
        LOG.log(WARNING, "following guests failed", e);
        say("following guests failed: " + e + "; see the log");
      }
      try {
        TimeUnit.NANOSECONDS.sleep(pause.toNanos());
      } catch (InterruptedException _) {
        return;
      }
      pause = min(pause.multipliedBy(2), LONGEST_PAUSE);
    }
  }

  private static Duration min(Duration one, Duration other) {
    return one.compareTo(other) < 0 ? one : other;
  }

  private void say(String trouble) {
    String line = trouble + "; tried again by itself, and guests go on without it";
    if (!line.equals(state)) {
      LOG.log(WARNING, line);
    }
    state = line;
  }

  private void queue(GuestEvent event) {
    heard.incrementAndGet();
    if (!events.offer(event)) {
      overflowed.set(true);
    }
  }

  private void follow(Hypervisor hypervisor) throws HypervisorException, InterruptedException {
    while (!closing) {
      GuestEvent event = events.poll(LOOK.toMillis(), TimeUnit.MILLISECONDS);
      if (overflowed.getAndSet(false)) {
        events.clear();
        look(hypervisor);
      } else if (event != null) {
        handle(hypervisor, event);
      } else if (!hypervisor.isAlive()) {
        throw new HypervisorException(
            "the connection to " + connector.name() + " ended: its daemon was stopped or hangs");
      }
    }
  }

  // ---- what guests do

  private void handle(Hypervisor hypervisor, GuestEvent event) throws InterruptedException {
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
        startProgram(vm(event));
      }
      case STOPPED -> {
        running.remove(id);
        send(new Command.StopProgram(vm(event)));
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
    if (isRegistered(vm)) {
      LOG.log(INFO, "{0} is gone, and so is VM {1}", event.name(), vm);
      // A disk that somebody else reads stays.
      send(new Command.RemoveVm(vm, false));
    }
  }

  private static @Nullable Guest find(Hypervisor hypervisor, GuestEvent event) {
    try {
      return hypervisor.guest(event.name());
    } catch (HypervisorException _) {
      // It is gone since, or the connection is, which is seen next.
      return null;
    }
  }

  /// Looks at all guests: what happened before or between connections was not said.
  private void look(Hypervisor hypervisor) throws HypervisorException, InterruptedException {
    looks.incrementAndGet();
    Set<String> ran = new HashSet<>(running);
    for (Guest guest : hypervisor.guests()) {
      String id = guest.id();
      learn(guest);
      ran.remove(id);
      if (guest.running()) {
        running.add(id);
        startProgram(guest.vm());
      } else if (running.remove(id) || guest.attachment() != null) {
        stopProgram(guest.vm());
      }
    }
    // A definition that is not there now may come back; a registration would not.
    for (String id : ran) {
      running.remove(id);
      undefined.remove(id);
      String vm = known.remove(id);
      if (vm != null) {
        stopProgram(vm);
      }
    }
  }

  private void learn(Guest guest) throws InterruptedException {
    known.put(guest.id(), guest.vm());
    Attachment attachment = guest.attachment();
    if (attachment != null && !isRegistered(attachment.vm())) {
      send(
          new Command.RegisterVm(
              attachment.vm(),
              attachment.program(),
              null,
              attachment.image().isEmpty()
                  ? List.of()
                  : List.of(
                      new Command.RequestedResource(
                          "disk0", ResourceType.FILE_BLOCK, attachment.image()))));
    }
  }

  /// A run that began with the guest's first read, before its start was said, is that run.
  private void startProgram(String vm) throws InterruptedException {
    Reply.VmView view = view(vm);
    if (view != null && !view.running()) {
      send(new Command.StartProgram(vm));
    }
  }

  private void stopProgram(String vm) throws InterruptedException {
    Reply.VmView view = view(vm);
    if (view != null && view.running()) {
      send(new Command.StopProgram(vm));
    }
  }

  private boolean isRegistered(String vm) throws InterruptedException {
    return view(vm) != null;
  }

  private Reply.@Nullable VmView view(String vm) throws InterruptedException {
    return send(new Command.ShowVms(vm)) instanceof Reply.Vms(List<Reply.VmView> vms)
            && !vms.isEmpty()
        ? vms.getFirst()
        : null;
  }

  /// The reply, or null if there is none. Guests that nobody registered are none of our business.
  private @Nullable Reply send(Command command) throws InterruptedException {
    try {
      return commands.execute(command);
    } catch (Refusal e) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      if (e.reason() != Refusal.Reason.UNKNOWN) {
        LOG.log(WARNING, connector.name() + ": " + command + ": " + e.getMessage());
      }
      return null;
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
