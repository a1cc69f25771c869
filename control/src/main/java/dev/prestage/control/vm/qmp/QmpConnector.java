package dev.prestage.control.vm.qmp;

import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.command.Reply;
import dev.prestage.control.vm.Guest;
import dev.prestage.control.vm.GuestEvent;
import dev.prestage.control.vm.GuestWatch;
import dev.prestage.control.vm.Hypervisor;
import dev.prestage.control.vm.HypervisorException;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// The machines of a directory: `NAME.qmp` is the QMP socket of the machine NAME, and
/// `NAME.machine`, where there is one, says what it runs. All connections of this connector share
/// the machines' sockets, which go on when a connection ends.
public final class QmpConnector implements GuestWatch.Connector {
  private static final System.Logger LOG = System.getLogger(QmpConnector.class.getName());

  private static final String SOCKET = ".qmp";
  private static final String DEFINITION = ".machine";

  /// What a VM may be called.
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}");

  /// Reading a directory of a thousand files takes a millisecond.
  private static final Duration LOOK = Duration.ofMillis(250);

  /// QEMU answers within milliseconds, and within a second where its main loop is busy.
  private static final Duration DEADLINE = Duration.ofSeconds(5);

  private final Path directory;
  private final Duration deadline;
  private final Map<String, QmpMachine> machines = new ConcurrentSkipListMap<>();
  private final List<Consumer<GuestEvent>> listeners = new CopyOnWriteArrayList<>();
  private final AtomicLong questions = new AtomicLong();
  private final AtomicLong failures = new AtomicLong();
  private @Nullable Thread looking;
  private volatile String wrongNames = "";
  private volatile String trouble = "";
  private volatile boolean closed;

  /// @param directory where the sockets come and go
  public QmpConnector(Path directory) {
    this(directory, DEADLINE);
  }

  /// @param deadline for each answer of QEMU
  QmpConnector(Path directory, Duration deadline) {
    this.directory = directory;
    this.deadline = deadline;
  }

  @Override
  public String name() {
    return "qemu";
  }

  @Override
  public Hypervisor connect() throws HypervisorException {
    look();
    if (!trouble.isEmpty()) {
      throw new HypervisorException(trouble);
    }
    synchronized (this) {
      if (looking == null) {
        looking = Thread.ofPlatform().name("qemu-sockets").daemon().start(this::lookOn);
      }
    }
    awaitKnown();
    return new QmpHypervisor(this);
  }

  /// `ok`, or one line about machines that cannot be asked.
  public String state() {
    List<String> troubles =
        machines.values().stream().map(QmpMachine::trouble).filter(t -> !t.isEmpty()).toList();
    if (troubles.isEmpty()) {
      return wrongNames.isEmpty() ? "ok" : wrongNames;
    }
    return troubles.size() == 1
        ? troubles.getFirst()
        : "%s; and %d more machines".formatted(troubles.getFirst(), troubles.size() - 1);
  }

  /// What was asked, as the API's counters.
  public List<Reply.Counter> counters() {
    Map<String, String> labels = Map.of();
    long connected = machines.values().stream().filter(QmpMachine::isConnected).count();
    return List.of(
        new Reply.Counter("qemu_machines", labels, false, connected),
        new Reply.Counter("qemu_questions", labels, true, questions.get()),
        new Reply.Counter("qemu_failures", labels, true, failures.get()));
  }

  // ---- for the connections

  boolean isWell() {
    return trouble.isEmpty() && !closed;
  }

  List<Guest> guests() {
    return machines.values().stream().map(QmpMachine::guest).filter(Objects::nonNull).toList();
  }

  void listen(Consumer<GuestEvent> listener) {
    listeners.add(listener);
  }

  void leave(Consumer<GuestEvent> listener) {
    listeners.remove(listener);
  }

  QmpMachine machine(String guest) throws HypervisorException {
    QmpMachine machine = machines.get(guest);
    if (machine == null) {
      throw HypervisorException.gone(
          "'%s' is no machine: %s has no %s".formatted(guest, directory, guest + SOCKET));
    }
    return machine;
  }

  <T> T ask(String guest, QmpMachine.Question<T> question) throws HypervisorException {
    questions.incrementAndGet();
    try {
      return machine(guest).ask(question);
    } catch (HypervisorException e) {
      failures.incrementAndGet();
      throw e;
    }
  }

  // ---- the directory

  private void lookOn() {
    while (!closed) {
      LockSupport.parkNanos(LOOK.toNanos());
      try {
        look();
      } catch (RuntimeException e) {
        LOG.log(WARNING, "looking at " + directory + " failed, and goes on", e);
      }
    }
  }

  /// Looks at all files. If that fails, nothing is taken for gone.
  private synchronized void look() {
    if (closed) {
      return;
    }
    Set<String> names = new HashSet<>();
    String wrong = "";
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        String name = machineOf(file.getFileName().toString());
        if (!name.isEmpty() && NAME.matcher(name).matches()) {
          names.add(name);
        } else if (!name.isEmpty()) {
          wrong = "%s is no name of a machine: letters, digits, '.', '_' and '-'".formatted(file);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      trouble =
          "%s cannot be read (qemu.sockets): %s"
              .formatted(
                  directory, e instanceof IOException io ? IoProblem.explain(io) : e.getMessage());
      return;
    }
    trouble = "";
    wrongNames = wrong;
    for (String name : names) {
      QmpMachine _ = machines.computeIfAbsent(name, this::machineCalled);
    }
    for (QmpMachine machine : List.copyOf(machines.values())) {
      machine.look(directory.resolve(machine.name() + DEFINITION));
      if (!names.contains(machine.name()) && machine.isGone()) {
        machines.remove(machine.name());
      }
    }
  }

  private QmpMachine machineCalled(String name) {
    return new QmpMachine(name, directory.resolve(name + SOCKET), deadline, this::tell);
  }

  private static String machineOf(String file) {
    for (String ending : List.of(SOCKET, DEFINITION)) {
      if (file.endsWith(ending)) {
        return file.substring(0, file.length() - ending.length());
      }
    }
    return "";
  }

  private void tell(GuestEvent event) {
    for (Consumer<GuestEvent> listener : listeners) {
      listener.accept(event);
    }
  }

  /// Waits until it is known of each machine whether it runs, or that it does not say.
  private void awaitKnown() {
    long end = System.nanoTime() + deadline.toNanos();
    while (machines.values().stream().anyMatch(m -> m.guest() == null && m.trouble().isEmpty())
        && System.nanoTime() < end
        && !Thread.currentThread().isInterrupted()) {
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
    }
  }

  @Override
  public void close() {
    closed = true;
    Thread ending = looking;
    if (ending != null) {
      LockSupport.unpark(ending);
    }
    machines.values().forEach(QmpMachine::close);
  }
}
