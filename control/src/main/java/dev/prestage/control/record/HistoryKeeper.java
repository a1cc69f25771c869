package dev.prestage.control.record;

import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.aggregate.Usage;
import dev.prestage.control.command.Reply;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.stage.Notice;
import dev.prestage.engine.stage.Notices;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.host.PutAside;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/// Opens the history's folder, and keeps it from ending this process, from filling the disk and
/// from losing rows without a word.
///
/// A database that maps its files can end the whole process when they are damaged, and again when
/// the process is started again. So a file in the folder, `opened`, says that the history is open
/// and how many processes crashed with it open, one after the other. At the second the folder is
/// put aside as `history.damaged-<n>` and a new history begins; so it does when opening fails three
/// times in a row for what is in the folder. A process that was killed did not crash: only who
/// started it knows the difference, and says so.
///
/// A disk that is nearly full ends a process in the same way, when a page of a mapped file finds no
/// room. So nothing is opened or appended with less than [#NEEDED_BYTES] free; the writer tries
/// again later.
///
/// The file `rows` holds the number of rows of the last commit. A history that opens with fewer has
/// lost some, and that is said and counted.
///
/// Threading: as [HistoryWriter.Opener]; counters and [#trouble] are for any thread.
public final class HistoryKeeper implements HistoryWriter.Opener {
  /// What is kept.
  ///
  /// @param age rows older than this are dropped, to the hour
  /// @param capacityBytes the oldest hours are dropped when the database takes more than this
  /// @param usageAge what hours add up to is dropped when they are older than this; it takes at
  ///   most a tenth of the capacity, beside it
  public record Retention(Duration age, long capacityBytes, Duration usageAge) {}

  /// The database's libraries take 9 MB where they are unpacked, and what is written between two
  /// commits takes about 5 MB.
  static final long NEEDED_BYTES = 16L << 20;

  /// Two ends of processes in a row may be chance once, not twice.
  private static final int CRASHES = 2;

  private static final int FAILURES = 3;

  /// Room for what a quiet host appends between two commits; it grows with a busy one.
  private static final int FIRST_OPEN = 1 << 10;

  /// What hours add up to takes at most this part of the capacity.
  private static final int USAGE_SHARE = 10;

  private static final String OPENED = "opened";
  private static final String ROWS = "rows";

  /// A history that was open for this long, and was written to, is no reason for a crash.
  private static final Duration STEADY = Duration.ofMinutes(10);

  /// Dropping hours needs no haste: an hour of history comes in an hour.
  private static final Duration TEND = Duration.ofMinutes(1);

  /// As long as other troubles stand in the health.
  private static final Duration SAID = Duration.ofMinutes(5);

  private static final System.Logger LOG = System.getLogger(HistoryKeeper.class.getName());

  private final Path folder;
  private final Retention retention;
  private final Clock clock;
  private final Notices notices;
  private final Space space;
  private final AtomicLong lost = new AtomicLong();
  private final AtomicLong expired = new AtomicLong();
  private final AtomicLong putAside = new AtomicLong();
  private volatile @Nullable Trouble trouble;
  private volatile @Nullable HourlyUsage usage;

  // Confined to the writer's thread.
  private boolean crashed;
  private int failures;

  private record Trouble(String text, long timeNanos) {}

  /// How much room a folder has.
  @FunctionalInterface
  interface Space {
    long usableBytes(Path folder) throws IOException;
  }

  /// @param crashed whether the process before this one ended by itself, in native code or for want
  ///   of memory; false when it ended in any other way, or nobody knows
  public HistoryKeeper(
      Path folder, Retention retention, boolean crashed, Clock clock, Notices notices) {
    this(
        folder,
        retention,
        crashed,
        clock,
        notices,
        place -> Files.getFileStore(place).getUsableSpace());
  }

  HistoryKeeper(
      Path folder,
      Retention retention,
      boolean crashed,
      Clock clock,
      Notices notices,
      Space space) {
    this.folder = folder;
    this.retention = retention;
    this.crashed = crashed;
    this.clock = clock;
    this.notices = notices;
    this.space = space;
  }

  @Override
  public AccessHistory open() {
    requireRoom();
    int crashes = crashed ? (int) Math.max(0, number(OPENED)) + 1 : 0;
    if (!Files.exists(folder.resolve(OPENED))) {
      crashes = 0;
    }
    crashed = false;
    if (crashes >= CRASHES) {
      putAside("the control plane crashed " + crashes + " times in a row while it was open");
      crashes = 0;
    }
    if (failures >= FAILURES) {
      failures = 0;
      putAside("it cannot be written to");
    }
    keep(OPENED, crashes);
    QuestDbHistory history;
    try {
      history = new QuestDbHistory(folder);
    } catch (HistoryException e) {
      if (e.isDamage() && ++failures >= FAILURES) {
        failures = 0;
        putAside(e.getMessage() + "");
      }
      throw e;
    }
    count(history.rows());
    try {
      var counted = new HourlyUsage(folder.resolve("usage"), history, clock.nanos());
      usage = counted;
      return new Kept(history, counted, crashes > 0);
    } catch (RuntimeException | Error e) {
      history.close();
      throw e;
    }
  }

  /// What the hours that lie within a time add up to, of those that are counted; see
  /// [HourlyUsage#between]. None while no history is open.
  public Iterator<Usage> usage(long fromNanos, long toNanos) {
    HourlyUsage counted = usage;
    return counted == null ? Collections.emptyIterator() : counted.between(fromNanos, toNanos);
  }

  private void count(long rows) {
    long before = number(ROWS);
    if (before > rows) {
      lost.addAndGet(before - rows);
      trouble(
          "history in "
              + folder
              + " has lost "
              + (before - rows)
              + " of "
              + before
              + " rows: its files were damaged or the power failed; it goes on with the rest");
    }
    keep(ROWS, rows);
  }

  private void putAside(String why) {
    String fate;
    try {
      Path aside = PutAside.move(folder);
      putAside.incrementAndGet();
      fate = "it is put aside as " + aside.getFileName() + " and a new history begins";
    } catch (IOException e) {
      // Not opened again: it may be what ends this process.
      throw new HistoryException(
          "history in "
              + folder
              + " is damaged ("
              + why
              + ") and cannot be put aside: move its files away",
          e);
    }
    trouble("history in " + folder + " is damaged (" + why + "); " + fate);
  }

  private void trouble(String text) {
    long now = clock.nanos();
    trouble = new Trouble(text, now);
    LOG.log(WARNING, text);
    notices.publish(new Notice.Degraded(now, "history", text));
  }

  private void requireRoom() {
    for (Path place : List.of(folder, Path.of(System.getProperty("java.io.tmpdir")))) {
      Path there = place.toAbsolutePath();
      while (there != null && !Files.exists(there)) {
        there = there.getParent();
      }
      try {
        long usable = there == null ? NEEDED_BYTES : space.usableBytes(there);
        if (usable < NEEDED_BYTES) {
          throw new HistoryException(
              "history at "
                  + folder
                  + " waits for space: "
                  + place
                  + " has "
                  + (usable >> 20)
                  + " MiB and it needs "
                  + (NEEDED_BYTES >> 20)
                  + " MiB; free some",
              null);
        }
      } catch (IOException e) {
        // Who cannot ask finds out by opening.
        LOG.log(System.Logger.Level.DEBUG, "how much space is free", e);
      }
    }
  }

  /// The number in one of the small files, or -1.
  private long number(String name) {
    try {
      return Long.parseLong(
          Files.readString(folder.resolve(name), StandardCharsets.ISO_8859_1).strip());
    } catch (IOException | NumberFormatException _) {
      return -1;
    }
  }

  /// Of one width, so that a write replaces the whole number. It is for the next process, not for
  /// the next start of the host: nothing waits for the disk.
  private void keep(String name, long number) {
    try {
      Files.createDirectories(folder);
      Files.writeString(
          folder.resolve(name),
          String.format(Locale.ROOT, "%019d%n", number),
          StandardOpenOption.CREATE,
          StandardOpenOption.WRITE);
    } catch (IOException e) {
      throw new HistoryException(
          "history at "
              + folder
              + " cannot be written ("
              + e
              + "); make the folder writable for this user or configure another",
          e);
    }
  }

  /// Empty, or one line that says what was found damaged in the last minutes and what was done.
  public String trouble() {
    Trouble last = trouble;
    return last == null || clock.nanos() - last.timeNanos() > SAID.toNanos() ? "" : last.text();
  }

  /// What this keeper counts, for the metrics.
  public List<Reply.Counter> counters() {
    return List.of(
        new Reply.Counter("history_lost_rows", Map.of(), true, lost.get()),
        new Reply.Counter("history_expired_rows", Map.of(), true, expired.get()),
        new Reply.Counter("history_put_aside", Map.of(), true, putAside.get()));
  }

  /// The open history, with its books kept.
  private final class Kept implements AccessHistory {
    private final QuestDbHistory history;
    private final HourlyUsage counted;

    /// What was appended and not committed: no answer shows it yet.
    private AccessColumns open = new AccessColumns(FIRST_OPEN);

    private int openSize;
    private final long openedNanos = clock.nanos();
    private boolean suspected;
    private long tendAt = openedNanos;

    Kept(QuestDbHistory history, HourlyUsage counted, boolean suspected) {
      this.history = history;
      this.counted = counted;
      this.suspected = suspected;
    }

    @Override
    public void append(Access access, Binding binding) {
      try {
        history.append(access, binding);
      } catch (RuntimeException | Error e) { // native code fails with errors, too
        failed(e);
        throw e;
      }
      if (openSize == open.capacity()) {
        open = open.enlarged(2 * openSize);
      }
      open.set(openSize++, access, binding);
    }

    private void failed(Throwable e) {
      requireRoom();
      if (QuestDbHistory.isDamage(e)) {
        failures++;
      }
    }

    @Override
    public void commit() {
      requireRoom();
      try {
        history.commit();
      } catch (RuntimeException | Error e) {
        failed(e);
        throw e;
      }
      failures = 0;
      keep(ROWS, history.rows());
      for (int i = 0; i < openSize; i++) {
        counted.add(open.access(i), open.binding(i));
      }
      openSize = 0;
      if (suspected && clock.nanos() - openedNanos >= STEADY.toNanos()) {
        suspected = false;
        keep(OPENED, 0);
      }
    }

    @Override
    public void tend() {
      long now = clock.nanos();
      if (now >= tendAt) {
        tendAt = now + TEND.toNanos();
        long dropped = history.trim(now - retention.age().toNanos(), retention.capacityBytes());
        if (dropped > 0) {
          expired.addAndGet(dropped);
          keep(ROWS, history.rows());
        }
        counted.tend(now);
        counted.trim(now - retention.usageAge().toNanos(), retention.capacityBytes() / USAGE_SHARE);
      }
    }

    @Override
    public List<Row> find(Query query) {
      return history.find(query);
    }

    @Override
    public void scan(Selection selection, Visitor visitor) {
      history.scan(selection, visitor);
    }

    @Override
    public void close() {
      usage = null;
      counted.close();
      history.close();
      try {
        Files.deleteIfExists(folder.resolve(OPENED));
      } catch (IOException e) {
        LOG.log(System.Logger.Level.DEBUG, "while closing the history", e);
      }
    }
  }
}
