package dev.prestage.control.vm;

import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.time.Clock;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Pattern;

/// Has the hosts of labelled guests promise the memory that the guests' program used in past runs
/// at this time since their start, a little ahead of it, and gives it back when it is not expected
/// any more and when the run ends.
///
/// It learns from runs whose starts it saw. A run that began before is only watched. One thread
/// with a connection of its own asks every guest with a label that runs, one after the other; where
/// that is away it does nothing but connect again.
public final class Reservations implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Reservations.class.getName());

  /// A vCenter's numbers are made every 20 s.
  public static final Duration EVERY = Duration.ofSeconds(20);

  /// Guests that were not looked at for so long may have stopped and started since: their runs are
  /// watched from then on as if they were seen the first time.
  static final long BLIND_NANOS = 3 * EVERY.toNanos();

  /// How far ahead: two slots, so that a burst that is a slot early finds it reserved.
  static final long AHEAD_NANOS = 2 * MemoryRuns.SLOT_NANOS;

  /// A change of a guest takes its vCenter about a second of work; small ones are not worth it.
  static final long STEP_MIB = 64;

  /// A host that has no memory left now may have in a while.
  static final long AFTER_REFUSAL_NANOS = Duration.ofMinutes(5).toNanos();

  private static final long MIB = 1 << 20;

  /// What the control plane takes as a program's name.
  private static final Pattern PROGRAM = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}");

  private final GuestWatch.Connector connector;
  private final MemoryRuns runs;
  private final Clock clock;
  private final Map<String, Run> followed = new HashMap<>();
  private final Set<String> stopped = new HashSet<>();
  private final AtomicLong made = new AtomicLong();
  private final AtomicLong returned = new AtomicLong();
  private final AtomicLong refused = new AtomicLong();
  private final Thread thread;
  private final Duration every;
  private long lookedNanos;
  private volatile long reservedMib;
  private volatile String state = "not connected yet";
  private volatile boolean closing;

  /// A guest's run.
  private static final class Run {
    final String program;
    final boolean startSeen;
    final long startNanos;
    final List<Long> levels = new ArrayList<>();
    long reservedMib;
    long notBeforeNanos;

    /// Whether a reservation of an earlier process may stand.
    boolean unknown = true;

    Run(String program, boolean startSeen, long startNanos) {
      this.program = program;
      this.startSeen = startSeen;
      this.startNanos = startNanos;
      this.notBeforeNanos = startNanos;
    }
  }

  Reservations(GuestWatch.Connector connector, Path file, Clock clock, Duration every)
      throws IOException {
    this.every = every;
    this.lookedNanos = clock.nanos();
    this.connector = connector;
    this.runs = new MemoryRuns(file);
    this.clock = clock;
    this.thread =
        Thread.ofPlatform().name(connector.name() + "-reservations").daemon().unstarted(this::run);
  }

  /// Reserves from now on.
  ///
  /// @param connector its own
  /// @param file where past runs are kept
  /// @param every how often guests are looked at
  /// @throws IOException if the file is there and cannot be read
  public static Reservations start(
      GuestWatch.Connector connector, Path file, Clock clock, Duration every) throws IOException {
    Reservations reservations = new Reservations(connector, file, clock, every);
    reservations.thread.start();
    return reservations;
  }

  /// `ok`, or one line that says what is wrong.
  public String state() {
    return state;
  }

  /// What was done, as the API's counters.
  public List<Reply.Counter> counters() {
    Map<String, String> labels = Map.of("hypervisor", connector.name());
    return List.of(
        new Reply.Counter("reservations_made", labels, true, made.get()),
        new Reply.Counter("reservations_returned", labels, true, returned.get()),
        new Reply.Counter("reservations_refused", labels, true, refused.get()),
        new Reply.Counter("reserved_memory_bytes", labels, false, reservedMib * MIB));
  }

  private void run() {
    while (!closing) {
      try (Hypervisor hypervisor = connector.connect()) {
        while (!closing && hypervisor.isAlive()) {
          look(hypervisor);
          state = "ok";
          TimeUnit.NANOSECONDS.sleep(every.toNanos());
        }
      } catch (InterruptedException _) {
        return;
      } catch (IOException | RuntimeException e) {
        String line =
            e.getMessage() + "; tried again by itself, and nothing is reserved until then";
        if (!line.equals(state) && !closing) {
          LOG.log(WARNING, line);
        }
        state = line;
      }
      try {
        TimeUnit.NANOSECONDS.sleep(every.toNanos());
      } catch (InterruptedException _) {
        return;
      }
    }
  }

  /// Looks at all labelled guests once.
  void look(Hypervisor hypervisor) throws IOException {
    if (clock.nanos() - lookedNanos > BLIND_NANOS) {
      followed.clear();
      stopped.clear();
    }
    Set<String> gone = new HashSet<>(followed.keySet());
    for (Guest guest : hypervisor.guests()) {
      Attachment label = guest.attachment();
      if (label == null || !PROGRAM.matcher(label.program()).matches()) {
        continue;
      }
      if (guest.running()) {
        gone.remove(guest.id());
        Run run = followed.get(guest.id());
        if (run == null) {
          run = new Run(label.program(), stopped.contains(guest.id()), clock.nanos());
          followed.put(guest.id(), run);
        }
        follow(hypervisor, guest.name(), run);
      } else {
        gone.remove(guest.id());
        ended(hypervisor, guest);
        stopped.add(guest.id());
      }
    }
    for (String id : gone) {
      stopped.remove(id);
      Run run = followed.remove(id);
      if (run != null) {
        learn(run);
      }
    }
    lookedNanos = clock.nanos();
    reservedMib = followed.values().stream().mapToLong(run -> run.reservedMib).sum();
  }

  private void follow(Hypervisor hypervisor, String guest, Run run) throws HypervisorException {
    long age = clock.nanos() - run.startNanos;
    try {
      MemoryStatistics memory = hypervisor.memoryStatistics(guest);
      note(run, age, (memory.grantedBytes() - Math.max(0, memory.unusedBytes())) / MIB);
    } catch (HypervisorException e) {
      if (!hypervisor.isAlive()) {
        throw e;
      }
      // It is gone since; the next look sees that.
      return;
    }
    long wanted = run.startSeen ? stepped(runs.expected(run.program, age, age + AHEAD_NANOS)) : 0;
    if ((wanted != run.reservedMib || run.unknown) && clock.nanos() >= run.notBeforeNanos) {
      reserve(hypervisor, guest, run, wanted);
    }
  }

  private static void note(Run run, long age, long usedMib) {
    int slot = (int) Math.min(MemoryRuns.SLOTS, age / MemoryRuns.SLOT_NANOS);
    while (run.levels.size() <= slot && run.levels.size() < MemoryRuns.SLOTS) {
      run.levels.add(0L);
    }
    if (slot < MemoryRuns.SLOTS) {
      run.levels.set(slot, Math.max(run.levels.get(slot), usedMib));
    }
  }

  private static long stepped(long mib) {
    return (mib + STEP_MIB - 1) / STEP_MIB * STEP_MIB;
  }

  private void reserve(Hypervisor hypervisor, String guest, Run run, long wanted)
      throws HypervisorException {
    try {
      if (wanted == 0) {
        hypervisor.release(guest);
        if (run.reservedMib > 0) {
          returned.incrementAndGet();
          LOG.log(INFO, "gave back {0} MiB of {1}", run.reservedMib, guest);
        }
      } else {
        hypervisor.reserve(guest, new Reservation(wanted, 0));
        made.incrementAndGet();
        LOG.log(INFO, "reserved {0} MiB for {1}", wanted, guest);
      }
      run.reservedMib = wanted;
      run.unknown = false;
    } catch (HypervisorException e) {
      if (!hypervisor.isAlive()) {
        throw e;
      }
      refused.incrementAndGet();
      run.notBeforeNanos = clock.nanos() + AFTER_REFUSAL_NANOS;
      LOG.log(WARNING, e.getMessage() + "; tried again in five minutes");
    }
  }

  /// A run ended, or a guest that does not run is seen the first time: a reservation of an earlier
  /// process is given back, too.
  private void ended(Hypervisor hypervisor, Guest guest) throws IOException {
    Run run = followed.remove(guest.id());
    if (run != null) {
      learn(run);
    }
    if (run != null || !stopped.contains(guest.id())) {
      Run last = run == null ? new Run("", false, clock.nanos()) : run;
      last.notBeforeNanos = clock.nanos();
      reserve(hypervisor, guest.name(), last, 0);
    }
  }

  private void learn(Run run) throws IOException {
    if (run.startSeen) {
      runs.learn(run.program, run.levels);
    }
  }

  /// Ends the thread. What is reserved stays, and is given back by the next process: this one may
  /// come back in a moment.
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
