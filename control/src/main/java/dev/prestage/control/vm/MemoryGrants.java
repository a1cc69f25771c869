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

  /// A small system that could free no more than this begins to swap.
  private static final long LEAST_HEADROOM_BYTES = 16L << 20;

  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(2);

  /// A guest's word about its use counts for so long while what it has is changed: three questions
  /// by default.
  private static final long WORD_NANOS = Duration.ofSeconds(6).toNanos();

  static final long VETO_NANOS = Duration.ofMinutes(5).toNanos();
  static final long LONGEST_VETO_NANOS = Duration.ofHours(1).toNanos();
  static final long AFTER_REFUSAL_NANOS = Duration.ofMinutes(1).toNanos();

  /// A host that has nothing left now, or a driver that comes late, may not for long.
  private static final long AFTER_REFUSED_GROWTH_NANOS = Duration.ofSeconds(5).toNanos();

  private static final long MIB = 1 << 20;

  private final String hypervisorName;
  private final Settings settings;
  private final MemoryRuns runs;
  private final Path ceilingsFile;
  private final Clock clock;
  private final BooleanSupplier hostIsPressed;
  private final GuestRuns<Granted> followed;

  /// Of guests that have less now, by their ids.
  private final Map<String, Ceiling> ceilings = new TreeMap<>();

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
    /// What the guest had at first; 0 before it was asked.
    long ceilingBytes;

    long floorBytes;
    long hasBytes;
    long swappedInBytes = -1;

    /// What it used when that was known last; -1 if it never was.
    long usedBytes = -1;

    /// How far it may be taken from after its last word about what it uses, and until when.
    long leastBytes;

    long leastUntilNanos = Long.MIN_VALUE;
    long lookedNanos;
    long growNotBeforeNanos = Long.MIN_VALUE;
    long shrinkNotBeforeNanos = Long.MIN_VALUE;
    long vetoNanos = VETO_NANOS;

    /// What was asked for and when, while the guest has not moved; 0 if nothing is open.
    long askedBytes;

    long askedFromBytes;
    long askedNanos;

    boolean leftAlone(long nowNanos) {
      return nowNanos < shrinkNotBeforeNanos;
    }

    /// The guest said what it uses. Before it says so again half of the rest may be taken, so that
    /// what it begins to use meanwhile finds the other half; two steps may be taken at once.
    void said(long usesBytes, long stepBytes, long nowNanos) {
      long rest = hasBytes - usesBytes;
      leastBytes = rest <= 2 * stepBytes ? usesBytes : usesBytes + rest / 2;
      leastUntilNanos = nowNanos + WORD_NANOS;
    }
  }

  /// What a guest had before something was taken from it, and what it has since. It outlives this
  /// process and the guest's run: what is restored, or goes on under this process's successor, has
  /// what it had last, and its own is more.
  private record Ceiling(long bytes, long lastBytes) {}

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
      long has = memory.grantedBytes();
      if (has <= 0) {
        return;
      }
      Granted granted = run.beside;
      if (granted.ceilingBytes == 0) {
        begin(hypervisor, guest, granted, has);
      } else {
        account(run, memory);
      }
      granted.hasBytes = has;
      granted.lookedNanos = clock.nanos();
      hasMoved(guest, granted, has);
      if (swaps(granted, memory) && has < granted.ceilingBytes) {
        veto(hypervisor, guest, run, has);
      } else if (!run.startSeen || runs.count(run.program) < PAST_RUNS) {
        // What an earlier process took is given back.
        resize(hypervisor, guest, run, has, granted.ceilingBytes, needed);
      } else {
        long age = clock.nanos() - run.startNanos;
        size(hypervisor, guest, run, memory, expectedBytes(run.program, age));
      }
    }

    @Override
    public void stopped(Hypervisor hypervisor, Guest guest, GuestRuns.@Nullable Run<Granted> run)
        throws IOException {
      ended(guest.id(), run);
    }

    @Override
    public void gone(String id, GuestRuns.@Nullable Run<Granted> run) throws IOException {
      ended(id, run);
    }
  }

  private void begin(Hypervisor hypervisor, Guest guest, Granted granted, long has)
      throws IOException {
    Ceiling before = ceilings.get(guest.id());
    boolean goesOn = before != null && Math.abs(has - before.lastBytes()) < LEAST_BYTES;
    granted.ceilingBytes = before != null && goesOn ? Math.max(has, before.bytes()) : has;
    granted.floorBytes = Math.max(settings.floorBytes(), hypervisor.leastMemory(guest.name()));
    if (before != null && !goesOn) {
      keep(guest.id(), null);
    }
  }

  /// A guest that is saved, and restored later, has then what it has now.
  private void ended(String id, GuestRuns.@Nullable Run<Granted> run) throws IOException {
    if (run != null && ceilings.containsKey(id)) {
      Granted granted = run.beside;
      boolean hasAll = granted.hasBytes > granted.ceilingBytes - LEAST_BYTES;
      keep(id, hasAll ? null : new Ceiling(granted.ceilingBytes, granted.hasBytes));
    }
  }

  /// Whether it read from its swap since it said so last.
  private static boolean swaps(Granted granted, MemoryStatistics memory) {
    long before = granted.swappedInBytes;
    if (memory.swappedInBytes() < 0) {
      return false;
    }
    granted.swappedInBytes = memory.swappedInBytes();
    return before >= 0 && memory.swappedInBytes() > before;
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
    if (!granted.leftAlone(clock.nanos())) {
      vetoes.incrementAndGet();
      granted.shrinkNotBeforeNanos = clock.nanos() + granted.vetoNanos;
      granted.vetoNanos = Math.min(LONGEST_VETO_NANOS, 2 * granted.vetoNanos);
      LOG.log(INFO, "{0} reads from its swap and gets its memory back", guest.name());
    }
    resize(hypervisor, guest, run, has, granted.ceilingBytes, needed);
  }

  /// A guest without a driver for it takes what it is asked, and does nothing: nothing more is
  /// taken from it for a while.
  private void hasMoved(Guest guest, Granted granted, long has) {
    if (granted.askedBytes == 0 || Math.abs(has - granted.askedFromBytes) >= LEAST_BYTES / 2) {
      granted.askedBytes = 0;
    } else if (clock.nanos() - granted.askedNanos > AFTER_REFUSAL_NANOS) {
      refused.incrementAndGet();
      LOG.log(
          WARNING,
          "{0} was asked for another size of its memory a minute ago and has {1} MiB as before: is"
              + " its balloon driver loaded? Tried again by itself",
          guest.name(),
          has / MIB);
      granted.askedBytes = 0;
      granted.shrinkNotBeforeNanos =
          Math.max(granted.shrinkNotBeforeNanos, clock.nanos() + AFTER_REFUSAL_NANOS);
    }
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
    long uses = run.known ? bounded(withHeadroom(memory.usedBytes()), granted) : has;
    if (run.known) {
      granted.said(uses, step, clock.nanos());
    }
    long will = bounded(withHeadroom(expectedBytes), granted);
    if (uses >= has + LEAST_BYTES) {
      resize(hypervisor, guest, run, has, uses, needed);
    } else if (will >= has + LEAST_BYTES) {
      if (hostIsPressed.getAsBoolean()) {
        withheld.incrementAndGet();
      } else {
        resize(hypervisor, guest, run, has, Math.min(will, has + step), ahead);
      }
    } else if (granted.askedBytes == 0 && !granted.leftAlone(clock.nanos())) {
      // Nothing is taken away while nobody knows what is used.
      boolean told = clock.nanos() < granted.leastUntilNanos;
      long least = told ? Math.max(granted.leastBytes, will) : has;
      if (least <= has - LEAST_BYTES) {
        resize(hypervisor, guest, run, has, Math.max(least, has - step), returned);
      }
    }
  }

  private long withHeadroom(long bytes) {
    return bytes + Math.max(LEAST_HEADROOM_BYTES, bytes / 100 * settings.headroomPercent());
  }

  private long bounded(long bytes, Granted granted) {
    long floor = Math.min(granted.floorBytes, granted.ceilingBytes);
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
    boolean grows = wanted > has;
    if (Math.abs(wanted - has) < LEAST_BYTES
        || wanted == granted.askedBytes
        || (grows && clock.nanos() < granted.growNotBeforeNanos)) {
      return;
    }
    if (grows) {
      granted.leastUntilNanos = Long.MIN_VALUE;
    } else {
      // Before it is done: a kill in between must not make the lesser size the guest's own.
      keep(guest.id(), new Ceiling(granted.ceilingBytes, wanted));
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
      if (grows) {
        granted.growNotBeforeNanos = clock.nanos() + AFTER_REFUSED_GROWTH_NANOS;
      } else {
        granted.shrinkNotBeforeNanos =
            Math.max(granted.shrinkNotBeforeNanos, clock.nanos() + AFTER_REFUSAL_NANOS);
      }
      LOG.log(WARNING, e.getMessage() + "; tried again by itself");
    }
  }

  /// @param ceiling null to forget it
  private void keep(String id, @Nullable Ceiling ceiling) throws IOException {
    Map<String, Ceiling> next = new TreeMap<>(ceilings);
    if (ceiling == null) {
      next.remove(id);
    } else {
      next.put(id, ceiling);
    }
    if (!next.equals(ceilings)) {
      String text =
          next.entrySet().stream()
              .map(each ->
                  each.getValue().bytes()
                      + " "
                      + each.getValue().lastBytes()
                      + " "
                      + each.getKey()
                      + "\n")
              .collect(Collectors.joining());
      AtomicFile.write(ceilingsFile, text.getBytes(UTF_8));
      ceilings.clear();
      ceilings.putAll(next);
    }
  }

  private void readCeilings() throws IOException {
    if (!Files.exists(ceilingsFile)) {
      return;
    }
    for (String line : Files.readAllLines(ceilingsFile)) {
      String[] parts = line.split(" ", 3);
      String number = "\\d{1,18}";
      if (parts.length == 3 && parts[0].matches(number) && parts[1].matches(number)) {
        ceilings.put(parts[2], new Ceiling(Long.parseLong(parts[0]), Long.parseLong(parts[1])));
      }
    }
  }

  /// Ends the thread. Guests keep what they have; the next process knows what they had at first.
  @Override
  public void close() {
    followed.close();
  }
}
