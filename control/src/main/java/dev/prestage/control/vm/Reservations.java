package dev.prestage.control.vm;

import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.time.Clock;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/// Has the hosts of labelled guests promise the memory that the guests' program used in past runs
/// at this time since their start, a little ahead of it, and gives it back when it is not expected
/// any more and when the run ends. A run that began before it was followed is only watched.
public final class Reservations implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Reservations.class.getName());

  /// A vCenter's numbers are made every 20 s.
  public static final Duration EVERY = Duration.ofSeconds(20);

  private static final Duration SLOT = Duration.ofMinutes(1);

  /// How far ahead: two slots, so that a burst that is a slot early finds it reserved.
  private static final long AHEAD_NANOS = 2 * SLOT.toNanos();

  /// A change of a guest takes its vCenter about a second of work; small ones are not worth it.
  static final long STEP_MIB = 64;

  /// A host that has no memory left now may have in a while.
  static final long AFTER_REFUSAL_NANOS = Duration.ofMinutes(5).toNanos();

  private static final long MIB = 1 << 20;

  private final String hypervisorName;
  private final MemoryRuns runs;
  private final GuestRuns<Reserved> followed;
  private final Clock clock;
  private final AtomicLong made = new AtomicLong();
  private final AtomicLong returned = new AtomicLong();
  private final AtomicLong refused = new AtomicLong();
  private volatile long reservedMib;

  /// What is reserved for a run.
  private static final class Reserved {
    long mib;
    long notBeforeNanos = Long.MIN_VALUE;

    /// Whether a reservation of an earlier process may stand.
    boolean unknown = true;
  }

  Reservations(GuestWatch.Connector connector, Path file, Clock clock, Duration every)
      throws IOException {
    this.hypervisorName = connector.name();
    this.runs = new MemoryRuns(file, SLOT);
    this.clock = clock;
    this.followed =
        new GuestRuns<>(
            connector, runs, clock, every, "reservations", Reserved::new, new Reserving());
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
    reservations.followed.start();
    return reservations;
  }

  /// `ok`, or one line that says what is wrong.
  public String state() {
    return followed.state();
  }

  /// What was done, as the API's counters.
  public List<Reply.Counter> counters() {
    Map<String, String> labels = Map.of("hypervisor", hypervisorName);
    return List.of(
        new Reply.Counter("reservations_made", labels, true, made.get()),
        new Reply.Counter("reservations_returned", labels, true, returned.get()),
        new Reply.Counter("reservations_refused", labels, true, refused.get()),
        new Reply.Counter("reserved_memory_bytes", labels, false, reservedMib * MIB));
  }

  /// Looks at all labelled guests once.
  void look(Hypervisor hypervisor) throws IOException {
    followed.look(hypervisor);
    count();
  }

  private void count() {
    reservedMib = followed.runs().stream().mapToLong(run -> run.beside.mib).sum();
  }

  private final class Reserving implements GuestRuns.Action<Reserved> {
    @Override
    public void running(
        Hypervisor hypervisor, Guest guest, GuestRuns.Run<Reserved> run, MemoryStatistics memory)
        throws HypervisorException {
      long age = clock.nanos() - run.startNanos;
      long wanted = run.startSeen ? stepped(runs.expected(run.program, age, age + AHEAD_NANOS)) : 0;
      Reserved reserved = run.beside;
      if ((wanted != reserved.mib || reserved.unknown)
          && clock.nanos() >= reserved.notBeforeNanos) {
        reserve(hypervisor, guest.name(), reserved, wanted);
      }
      count();
    }

    /// A reservation of an earlier process is given back, too.
    @Override
    public void stopped(Hypervisor hypervisor, Guest guest, GuestRuns.@Nullable Run<Reserved> run)
        throws HypervisorException {
      reserve(hypervisor, guest.name(), run == null ? new Reserved() : run.beside, 0);
      count();
    }

    @Override
    public void gone(String id, GuestRuns.@Nullable Run<Reserved> run) {
      count();
    }
  }

  private static long stepped(long mib) {
    return (mib + STEP_MIB - 1) / STEP_MIB * STEP_MIB;
  }

  private void reserve(Hypervisor hypervisor, String guest, Reserved reserved, long wanted)
      throws HypervisorException {
    try {
      if (wanted == 0) {
        hypervisor.release(guest);
        if (reserved.mib > 0) {
          returned.incrementAndGet();
          LOG.log(INFO, "gave back {0} MiB of {1}", reserved.mib, guest);
        }
      } else {
        hypervisor.reserve(guest, new Reservation(wanted, 0));
        made.incrementAndGet();
        LOG.log(INFO, "reserved {0} MiB for {1}", wanted, guest);
      }
      reserved.mib = wanted;
      reserved.unknown = false;
    } catch (HypervisorException e) {
      if (!hypervisor.isAlive()) {
        throw e;
      }
      refused.incrementAndGet();
      reserved.notBeforeNanos = clock.nanos() + AFTER_REFUSAL_NANOS;
      LOG.log(WARNING, e.getMessage() + "; tried again in five minutes");
    }
  }

  /// Ends the thread. What is reserved stays, and is given back by the next process: this one may
  /// come back in a moment.
  @Override
  public void close() {
    followed.close();
  }
}
