package dev.prestage.control.vm;

import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;
import static java.nio.charset.StandardCharsets.UTF_8;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.host.AtomicFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// Sizes the memory of labelled guests by what they use and by what past runs of their program used
/// at this time since their start: what is not expected to be used is taken back in small steps,
/// and given again ahead of its use.
///
/// A guest never gets more than it had when its run was first seen, and never less than the floor.
/// Nothing is taken from a guest whose program has no past runs, whose start was not seen, or that
/// does not say what it uses. One that reads from its swap gets all its memory back, and is left
/// alone for a while.
public final class MemoryGrants implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(MemoryGrants.class.getName());

  /// With one past run, nobody knows what repeats.
  static final int PAST_RUNS = 2;

  /// Of what a guest may have, at a time: a mistake shows before it hurts.
  private static final double STEP = .05;

  /// What a guest has is not changed for less.
  private static final long LEAST_BYTES = 4L << 20;

  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(2);

  static final long VETO_NANOS = Duration.ofMinutes(5).toNanos();
  static final long LONGEST_VETO_NANOS = Duration.ofHours(1).toNanos();
  static final long AFTER_REFUSAL_NANOS = Duration.ofMinutes(1).toNanos();

  private static final long MIB = 1 << 20;

  private final String hypervisorName;
  private final Settings settings;
  private final MemoryRuns runs;
  private final Path ceilingsFile;
  private final Clock clock;
  private final BooleanSupplier hostIsPressed;
  private final GuestRuns<Granted> followed;

  /// What guests that have less now had at first, by their ids: it outlives this process.
  private final Map<String, Long> ceilings = new TreeMap<>();

  private final AtomicLong ahead = new AtomicLong();
  private final AtomicLong needed = new AtomicLong();
  private final AtomicLong returned = new AtomicLong();
  private final AtomicLong refused = new AtomicLong();
  private final AtomicLong vetoes = new AtomicLong();
  private final AtomicLong withheld = new AtomicLong();
  private final AtomicLong grantedMibMillis = new AtomicLong();
  private final AtomicLong usedMibMillis = new AtomicLong();

  /// How guests are sized.
  ///
  /// @param floorBytes no guest gets less
  /// @param headroomPercent what a guest has beyond what it uses or is expected to
  /// @param ahead how long before its expected use memory is given; zero: guests are sized by what
  ///   they use alone, to compare with
  public record Settings(long floorBytes, int headroomPercent, Duration ahead) {
    /// As it is configured by default.
    public static final Settings DEFAULT = new Settings(128 * MIB, 10, Duration.ofSeconds(30));

    /// How exactly the time of a use is known.
    Duration slot() {
      return (ahead.isZero() ? DEFAULT : this).ahead.dividedBy(3);
    }

    /// How often guests are looked at: all steps to all of a guest's memory fit in before its use.
    Duration every() {
      Duration every = ahead.isZero() ? LONGEST_PAUSE : ahead.dividedBy((long) (1 / STEP));
      return every.compareTo(LONGEST_PAUSE) < 0 ? every : LONGEST_PAUSE;
    }
  }

  /// What is known of a run that is sized.
  private static final class Granted {
    long ceilingBytes;
    long swappedInBytes = -1;

    /// What it used when that was known last; -1 if it never was.
    long usedBytes = -1;

    long lookedNanos;
    long notBeforeNanos = Long.MIN_VALUE;
    long vetoNanos = VETO_NANOS;
    long leftAloneUntilNanos = Long.MIN_VALUE;

    /// What was asked for and when, while the guest has not moved; 0 if nothing is open.
    long askedBytes;

    long askedFromBytes;
    long askedNanos;
  }

  MemoryGrants(
      GuestWatch.Connector connector,
      Path folder,
      Clock clock,
      Settings settings,
      BooleanSupplier hostIsPressed)
      throws IOException {
    this.hypervisorName = connector.name();
    this.settings = settings;
    this.clock = clock;
    this.hostIsPressed = hostIsPressed;
    this.runs = new MemoryRuns(folder.resolve(connector.name() + "-runs"), settings.slot());
    this.ceilingsFile = folder.resolve(connector.name() + "-ceilings");
    readCeilings();
    this.followed =
        new GuestRuns<>(
            connector, runs, clock, settings.every(), "memory", Granted::new, new Sizing());
  }

  /// Sizes guests from now on.
  ///
  /// @param connector its own; its hypervisor has [Ability#MEMORY_SIZE] and [Ability#STATISTICS]
  /// @param folder where past runs are kept
  /// @throws IOException if a file is there and cannot be read
  public static MemoryGrants start(
      GuestWatch.Connector connector, Path folder, Clock clock, Settings settings)
      throws IOException {
    Files.createDirectories(folder);
    HostPressure pressure = new HostPressure(Path.of("/proc"));
    MemoryGrants grants = new MemoryGrants(connector, folder, clock, settings, pressure::isPressed);
    grants.followed.start();
    return grants;
  }

  /// `ok`, or one line that says what is wrong.
  public String state() {
    return followed.state();
  }

  /// What was done, as the API's counters.
  public List<Reply.Counter> counters() {
    Map<String, String> labels = Map.of("hypervisor", hypervisorName);
    return List.of(
        changes("ahead", ahead),
        changes("needed", needed),
        changes("returned", returned),
        new Reply.Counter("memory_grants_refused", labels, true, refused.get()),
        new Reply.Counter("memory_grants_withheld", labels, true, withheld.get()),
        new Reply.Counter("memory_grant_vetoes", labels, true, vetoes.get()),
        new Reply.Counter(
            "memory_granted_mib_seconds", labels, true, grantedMibMillis.get() / 1000.0),
        new Reply.Counter("memory_used_mib_seconds", labels, true, usedMibMillis.get() / 1000.0));
  }

  private Reply.Counter changes(String reason, AtomicLong count) {
    return new Reply.Counter(
        "memory_grants", Map.of("hypervisor", hypervisorName, "reason", reason), true, count.get());
  }

  /// Looks at all labelled guests once.
  void look(Hypervisor hypervisor) throws IOException {
    followed.look(hypervisor);
  }

  private final class Sizing implements GuestRuns.Action<Granted> {
    @Override
    public void running(
        Hypervisor hypervisor, Guest guest, GuestRuns.Run<Granted> run, MemoryStatistics memory)
        throws IOException {
      Granted granted = run.beside;
      long has = memory.grantedBytes();
      if (has <= 0) {
        return;
      }
      if (granted.ceilingBytes == 0) {
        granted.ceilingBytes = Math.max(has, ceilings.getOrDefault(guest.id(), 0L));
      } else {
        account(run, memory);
      }
      granted.lookedNanos = clock.nanos();
      boolean swaps =
          granted.swappedInBytes >= 0 && memory.swappedInBytes() > granted.swappedInBytes;
      granted.swappedInBytes = memory.swappedInBytes();
      if (swaps && has < granted.ceilingBytes) {
        veto(hypervisor, guest, run, has);
        return;
      }
      if (clock.nanos() < granted.notBeforeNanos || doesNotMove(guest, granted, has)) {
        return;
      }
      long age = clock.nanos() - run.startNanos;
      if (!run.startSeen || runs.count(run.program) < PAST_RUNS) {
        // What an earlier process took is given back.
        resize(hypervisor, guest, run, has, granted.ceilingBytes, needed);
      } else {
        size(hypervisor, guest, run, memory, expectedBytes(run.program, age));
      }
    }

    @Override
    public void stopped(Hypervisor hypervisor, Guest guest, GuestRuns.@Nullable Run<Granted> run)
        throws IOException {
      forget(guest.id());
    }

    @Override
    public void gone(String id) throws IOException {
      forget(id);
    }
  }

  private long expectedBytes(String program, long ageNanos) {
    long aheadNanos = settings.ahead().toNanos();
    return aheadNanos == 0 ? 0 : runs.expected(program, ageNanos, ageNanos + aheadNanos) * MIB;
  }

  private void account(GuestRuns.Run<Granted> run, MemoryStatistics memory) {
    Granted granted = run.beside;
    if (run.known) {
      granted.usedBytes = memory.usedBytes();
    }
    if (granted.usedBytes >= 0) {
      long millis = (clock.nanos() - granted.lookedNanos) / 1_000_000;
      grantedMibMillis.addAndGet(memory.grantedBytes() / MIB * millis);
      usedMibMillis.addAndGet(granted.usedBytes / MIB * millis);
    }
  }

  /// Gives back all that was taken, at once.
  private void veto(Hypervisor hypervisor, Guest guest, GuestRuns.Run<Granted> run, long has)
      throws IOException {
    Granted granted = run.beside;
    vetoes.incrementAndGet();
    granted.leftAloneUntilNanos = clock.nanos() + granted.vetoNanos;
    granted.vetoNanos = Math.min(LONGEST_VETO_NANOS, 2 * granted.vetoNanos);
    LOG.log(INFO, "{0} reads from its swap and gets its memory back", guest.name());
    resize(hypervisor, guest, run, has, granted.ceilingBytes, needed);
  }

  /// A guest without a driver for it takes what it is asked, and does nothing.
  private boolean doesNotMove(Guest guest, Granted granted, long has) {
    if (granted.askedBytes == 0 || Math.abs(has - granted.askedFromBytes) >= LEAST_BYTES / 2) {
      granted.askedBytes = 0;
      return false;
    }
    if (clock.nanos() - granted.askedNanos > AFTER_REFUSAL_NANOS) {
      refused.incrementAndGet();
      LOG.log(
          WARNING,
          "{0} was asked for another size of its memory a minute ago and has {1} MiB as before: is"
              + " its balloon driver loaded? Tried again by itself",
          guest.name(),
          has / MIB);
      granted.askedBytes = 0;
      granted.notBeforeNanos = clock.nanos() + AFTER_REFUSAL_NANOS;
    }
    return true;
  }

  private void size(
      Hypervisor hypervisor,
      Guest guest,
      GuestRuns.Run<Granted> run,
      MemoryStatistics memory,
      long expectedBytes)
      throws IOException {
    Granted granted = run.beside;
    long has = memory.grantedBytes();
    long step = (long) (STEP * granted.ceilingBytes);
    // Nothing is taken away while nobody knows what is used.
    long uses = run.known ? bounded(withHeadroom(memory.usedBytes()), granted) : has;
    long will = bounded(withHeadroom(expectedBytes), granted);
    if (uses >= has + LEAST_BYTES) {
      resize(hypervisor, guest, run, has, uses, needed);
    } else if (will >= has + LEAST_BYTES) {
      if (hostIsPressed.getAsBoolean()) {
        withheld.incrementAndGet();
      } else {
        resize(hypervisor, guest, run, has, Math.min(will, has + step), ahead);
      }
    } else if (Math.max(uses, will) <= has - LEAST_BYTES
        && clock.nanos() >= granted.leftAloneUntilNanos) {
      long less = Math.max(Math.max(uses, will), has - step);
      resize(hypervisor, guest, run, has, less, returned);
    }
  }

  private long withHeadroom(long bytes) {
    return bytes + bytes / 100 * settings.headroomPercent();
  }

  private long bounded(long bytes, Granted granted) {
    long floor = Math.min(settings.floorBytes(), granted.ceilingBytes);
    return Math.clamp(bytes, floor, granted.ceilingBytes);
  }

  private void resize(
      Hypervisor hypervisor,
      Guest guest,
      GuestRuns.Run<Granted> run,
      long has,
      long wanted,
      AtomicLong count)
      throws IOException {
    Granted granted = run.beside;
    if (Math.abs(wanted - has) < LEAST_BYTES) {
      return;
    }
    if (wanted < granted.ceilingBytes
        && !Long.valueOf(granted.ceilingBytes).equals(ceilings.get(guest.id()))) {
      // Before it is done: a kill in between must not make the lesser size the guest's own.
      ceilings.put(guest.id(), granted.ceilingBytes);
      writeCeilings();
    }
    try {
      hypervisor.resizeMemory(guest.name(), wanted);
      run.changed(clock.nanos());
      count.incrementAndGet();
      granted.askedBytes = wanted;
      granted.askedFromBytes = has;
      granted.askedNanos = clock.nanos();
    } catch (HypervisorException e) {
      if (!hypervisor.isAlive()) {
        throw e;
      }
      refused.incrementAndGet();
      granted.notBeforeNanos = clock.nanos() + AFTER_REFUSAL_NANOS;
      LOG.log(WARNING, e.getMessage() + "; tried again in a minute");
    }
  }

  private void forget(String id) throws IOException {
    if (ceilings.remove(id) != null) {
      writeCeilings();
    }
  }

  private void readCeilings() throws IOException {
    if (!Files.exists(ceilingsFile)) {
      return;
    }
    for (String line : Files.readAllLines(ceilingsFile)) {
      int space = line.indexOf(' ');
      if (space > 0 && line.substring(0, space).matches("\\d{1,18}")) {
        ceilings.put(line.substring(space + 1), Long.parseLong(line.substring(0, space)));
      }
    }
  }

  private void writeCeilings() throws IOException {
    String text =
        ceilings.entrySet().stream()
            .map(ceiling -> ceiling.getValue() + " " + ceiling.getKey() + "\n")
            .collect(Collectors.joining());
    AtomicFile.write(ceilingsFile, text.getBytes(UTF_8));
  }

  /// Ends the thread. Guests keep what they have; the next process knows what they had at first.
  @Override
  public void close() {
    followed.close();
  }
}
