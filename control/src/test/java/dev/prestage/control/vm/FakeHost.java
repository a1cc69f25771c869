package dev.prestage.control.vm;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Commands;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.control.vm.GuestEvent.Kind;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// A hypervisor whose daemon can be stopped, and the control plane that its guests are registered
/// with. What the control plane was told is kept as words.
final class FakeHost implements GuestWatch.Connector, Commands {
  final List<String> told = new CopyOnWriteArrayList<>();
  final Semaphore tellings = new Semaphore(0);

  /// When it was connected to, or tried to.
  final List<Long> connectTimesNanos = new CopyOnWriteArrayList<>();

  private final Map<String, Guest> guests = new ConcurrentHashMap<>();
  private final Map<String, Boolean> registered = new ConcurrentHashMap<>();
  private volatile boolean up = true;

  /// Thrown where a connection is asked for guests, if there is one.
  volatile @Nullable Throwable fault;

  /// Whether the control plane takes commands.
  volatile boolean available = true;

  /// Held by a test to have the daemon hang when it is connected to.
  final Semaphore hanging = new Semaphore(1);

  private volatile @Nullable Consumer<GuestEvent> listener;

  void define(String name, @Nullable Attachment attachment) {
    guests.put(name, new Guest("id-" + name, name, false, true, attachment));
    say(name, Kind.DEFINED);
  }

  void start(String name) {
    run(name, true);
    say(name, Kind.STARTED);
  }

  void stop(String name) {
    run(name, false);
    say(name, Kind.STOPPED);
  }

  void undefine(String name) {
    Guest guest = guests.get(name);
    if (guest != null && !guest.running()) {
      guests.remove(name);
    }
    say(name, Kind.UNDEFINED);
  }

  /// A transient guest that ended is no guest any more.
  void vanish(String name) {
    guests.remove(name);
    say(name, Kind.STOPPED);
  }

  /// Starts or stops a guest without a word.
  void run(String name, boolean running) {
    guests.computeIfPresent(
        name, (_, g) -> new Guest(g.id(), name, running, g.persistent(), g.attachment()));
  }

  void say(String name, Kind kind) {
    Consumer<GuestEvent> now = listener;
    if (now != null) {
      now.accept(event(name, kind));
    }
  }

  void daemon(boolean runs) {
    up = runs;
    if (!runs) {
      listener = null;
    }
  }

  void register(String vm) {
    registered.put(vm, false);
  }

  Map<String, Boolean> registered() {
    return new TreeMap<>(registered);
  }

  boolean isListenedTo() {
    return listener != null;
  }

  /// Who listens now; a connection of before may still have things to say.
  @Nullable Consumer<GuestEvent> listener() {
    return listener;
  }

  static GuestEvent event(String name, Kind kind) {
    return new GuestEvent("id-" + name, name, kind);
  }

  @Override
  public String name() {
    return "fake";
  }

  @Override
  public Hypervisor connect() throws HypervisorException {
    connectTimesNanos.add(System.nanoTime());
    hanging.acquireUninterruptibly();
    hanging.release();
    if (!up) {
      throw new HypervisorException("the daemon is not there");
    }
    return new Connection();
  }

  @Override
  public void close() {}

  private final class Connection implements Hypervisor {
    private boolean lost;

    @Override
    public String name() {
      return "fake";
    }

    @Override
    public Set<Ability> abilities() {
      return EnumSet.of(Ability.INVENTORY, Ability.LIFECYCLE);
    }

    @Override
    public boolean isAlive() {
      lost |= !up;
      return !lost;
    }

    @Override
    public void close() {}

    @Override
    public List<Guest> guests() throws HypervisorException {
      switch (fault) {
        case HypervisorException e -> throw e;
        case RuntimeException e -> throw e;
        case Error e -> throw e;
        case null, default -> {}
      }
      return List.copyOf(guests.values());
    }

    @Override
    public Guest guest(String guest) throws HypervisorException {
      Guest found = guests.get(guest);
      if (found == null) {
        throw HypervisorException.gone("no guest " + guest);
      }
      return found;
    }

    @Override
    public void watch(Consumer<GuestEvent> to) {
      listener = to;
    }
  }

  @Override
  public Reply execute(Command command) throws Refusal {
    if (!available) {
      throw new Refusal(Refusal.Reason.UNAVAILABLE, "the data plane is away");
    }
    return switch (command) {
      case Command.ShowVms(String vm) when vm != null -> new Reply.Vms(List.of(view(vm)));
      case Command.StartProgram(String vm) -> say("start", vm, true);
      case Command.StopProgram(String vm) -> say("stop", vm, false);
      case Command.RegisterVm(String vm, String program, _, List<Command.RequestedResource> of) -> {
        registered.put(vm, false);
        tell("register " + vm + " " + program + " " + of.getFirst().source());
        yield view(vm);
      }
      case Command.RemoveVm(String vm, boolean force) -> {
        known(vm);
        registered.remove(vm);
        tell("remove " + vm + (force ? " by force" : ""));
        yield new Reply.Done();
      }
      default -> throw new IllegalArgumentException("not expected: " + command);
    };
  }

  private Reply say(String what, String vm, boolean running) throws Refusal {
    known(vm);
    registered.put(vm, running);
    tell(what + " " + vm);
    return view(vm);
  }

  private void tell(String what) {
    told.add(what);
    tellings.release();
  }

  private boolean known(String vm) throws Refusal {
    Boolean running = registered.get(vm);
    if (running == null) {
      throw new Refusal(Refusal.Reason.UNKNOWN, "no VM " + vm);
    }
    return running;
  }

  private Reply.VmView view(String vm) throws Refusal {
    return new Reply.VmView(vm, "default", "p", "i", 1, "", null, known(vm), true, List.of());
  }
}
