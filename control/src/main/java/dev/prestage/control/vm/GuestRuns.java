package dev.prestage.control.vm;

import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.engine.time.Clock;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// Follows how much memory the runs of a hypervisor's labelled guests use, has something done about
/// each, and learns from it.
///
/// It learns from runs whose starts it saw. One thread with a connection of its own asks every
/// guest with a label that runs, one after the other; where that is away it does nothing but
/// connect again.
///
/// @param <S> what is kept beside each run
final class GuestRuns<S> implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(GuestRuns.class.getName());

  /// Guests that were not looked at for so long, or in three turns, may have stopped and started
  /// since: their runs are watched from then on as if they were seen the first time. A look at the
  /// guests of a host that answers slowly takes a good part of it.
  private static final Duration LEAST_BLIND = Duration.ofMinutes(1);

  private static final long MIB = 1 << 20;

  /// What the control plane takes as a program's name.
  private static final Pattern PROGRAM = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}");

  private final GuestWatch.Connector connector;
  private final MemoryRuns runs;
  private final Clock clock;
  private final Duration every;
  private final Supplier<S> fresh;
  private final Action<S> action;
  private final Map<String, Run<S>> followed = new HashMap<>();
  private final Set<String> stopped = new HashSet<>();

  /// All guests that the last look found, labelled or not; null before the first one.
  private @Nullable Set<String> before;

  private final Thread thread;
  private long lookedNanos;
  private volatile String state = "not connected yet";
  private volatile boolean closing;

  /// What is done about runs. A refusal that concerns one guest is the action's to take.
  ///
  /// @param <S> what it keeps beside each
  interface Action<S> {
    /// A guest's run was looked at.
    void running(Hypervisor hypervisor, Guest guest, Run<S> run, MemoryStatistics memory)
        throws IOException;

    /// A run ended, or a guest that does not run is seen the first time.
    void stopped(Hypervisor hypervisor, Guest guest, @Nullable Run<S> run) throws IOException;

    /// A guest that was there is not any more.
    void gone(String id, @Nullable Run<S> run) throws IOException;
  }

  /// A guest's run.
  ///
  /// @param <S> what is kept beside it
  static final class Run<S> {
    final String program;
    final boolean startSeen;
    final long startNanos;
    final S beside;

    /// Whether what the guest says of its use is of the memory that it has now.
    boolean known;

    private long grantedBytes;
    private long changedNanos;
    private final List<Long> levels = new ArrayList<>();

    private Run(String program, boolean startSeen, long startNanos, S beside) {
      this.program = program;
      this.startSeen = startSeen;
      this.startNanos = startNanos;
      this.beside = beside;
      this.changedNanos = startNanos;
    }

    /// The guest is asked to have more or less: what it said before says nothing of then.
    void changed(long nowNanos) {
      changedNanos = nowNanos;
    }

    private void look(MemoryStatistics memory, long nowNanos) {
      if (memory.grantedBytes() != grantedBytes) {
        if (grantedBytes > 0) {
          changedNanos = nowNanos;
        }
        grantedBytes = memory.grantedBytes();
      }
      known = memory.unusedBytes() >= 0 && nowNanos - memory.ageNanos() >= changedNanos;
    }
  }

  /// @param thread its name
  /// @param fresh what is kept beside a run that begins
  GuestRuns(
      GuestWatch.Connector connector,
      MemoryRuns runs,
      Clock clock,
      Duration every,
      String thread,
      Supplier<S> fresh,
      Action<S> action) {
    this.connector = connector;
    this.runs = runs;
    this.clock = clock;
    this.every = every;
    this.fresh = fresh;
    this.action = action;
    this.lookedNanos = clock.nanos();
    this.thread =
        Thread.ofPlatform().name(connector.name() + "-" + thread).daemon().unstarted(this::run);
  }

  void start() {
    thread.start();
  }

  /// `ok`, or one line that says what is wrong.
  String state() {
    return state;
  }

  /// The runs that are followed.
  Collection<Run<S>> runs() {
    return followed.values();
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
        String line = e.getMessage() + "; tried again by itself, and nothing is done until then";
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
    long now = clock.nanos();
    if (now - lookedNanos > Math.max(LEAST_BLIND.toNanos(), 3 * every.toNanos())) {
      followed.clear();
      stopped.clear();
      before = null;
    }
    Set<String> present = new HashSet<>();
    Set<String> gone = new HashSet<>(followed.keySet());
    gone.addAll(stopped);
    for (Guest guest : hypervisor.guests()) {
      present.add(guest.id());
      Run<S> known = followed.get(guest.id());
      // One that loses its label, if only for a moment, is followed to its end.
      String program = known == null ? guest.program() : known.program;
      if (!PROGRAM.matcher(program).matches()) {
        continue;
      }
      gone.remove(guest.id());
      if (guest.running()) {
        follow(hypervisor, guest, program);
      } else {
        Run<S> run = followed.remove(guest.id());
        if (run != null) {
          learn(run);
        }
        if (stopped.add(guest.id()) || run != null) {
          action.stopped(hypervisor, guest, run);
        }
      }
    }
    for (String id : gone) {
      stopped.remove(id);
      Run<S> run = followed.remove(id);
      if (run != null) {
        learn(run);
      }
      action.gone(id, run);
    }
    before = present;
    // What happened while the guests were asked, one after the other, was not seen.
    lookedNanos = now;
  }

  /// One that is there only while it runs was not there before; others did not run.
  private boolean startSeen(Guest guest) {
    return stopped.contains(guest.id()) || (before != null && !before.contains(guest.id()));
  }

  private void follow(Hypervisor hypervisor, Guest guest, String program) throws IOException {
    Run<S> run = followed.get(guest.id());
    if (run == null) {
      run = new Run<>(program, startSeen(guest), clock.nanos(), fresh.get());
      followed.put(guest.id(), run);
    }
    MemoryStatistics memory;
    try {
      memory = hypervisor.memoryStatistics(guest.name());
    } catch (HypervisorException e) {
      if (!hypervisor.isAlive()) {
        throw e;
      }
      // It is gone since; the next look sees that.
      return;
    }
    run.look(memory, clock.nanos());
    if (run.known) {
      note(run, memory.usedBytes() / MIB);
    }
    action.running(hypervisor, guest, run, memory);
  }

  private void note(Run<S> run, long usedMib) {
    int slot = runs.slot(clock.nanos() - run.startNanos);
    while (run.levels.size() < Math.min(slot, MemoryRuns.SLOTS)) {
      // Where nothing was known it was about what it was before.
      run.levels.add(run.levels.isEmpty() ? 0L : run.levels.getLast());
    }
    if (run.levels.size() == slot && slot < MemoryRuns.SLOTS) {
      run.levels.add(0L);
    }
    if (slot < MemoryRuns.SLOTS) {
      run.levels.set(slot, Math.max(run.levels.get(slot), usedMib));
    }
  }

  private void learn(Run<S> run) throws IOException {
    if (run.startSeen) {
      runs.learn(run.program, run.levels);
    }
  }

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
