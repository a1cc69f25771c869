package dev.prestage.control.record;

import static java.lang.System.Logger.Level.DEBUG;
import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.aggregate.Usage;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.link.host.AtomicFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.Iterator;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// What each hour's accesses add up to, kept while they come and for longer than their rows.
///
/// The hours under way are in memory. An hour that has been over for [#GRACE] is written to a file
/// of its own, `usage/2026-11-26T14`; what still comes for it is added to the file within a minute
/// or two. An hour that has rows and no file, because the process ended or began in it, is counted
/// from the rows: the newest two when the history opens, others one at a time in the background.
/// Until then its rows are all there is.
///
/// Files are advice like all history: one that cannot be read is counted again, as long as there
/// are rows. A process that is killed loses what came late for hours that were written before.
///
/// Threading: one thread adds, tends and trims, any thread asks.
final class HourlyUsage {
  /// How long accesses of an hour may come after its end.
  private static final Duration GRACE = Duration.ofMinutes(2);

  /// No row came for it lately.
  private static final long QUIET = Long.MIN_VALUE;

  /// Ten times what an hour takes.
  private static final long LARGEST_FILE = 32L << 20;

  private static final DateTimeFormatter NAME =
      DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH").withZone(ZoneOffset.UTC);

  private static final System.Logger LOG = System.getLogger(HourlyUsage.class.getName());

  private final Path folder;
  private final QuestDbHistory rows;

  /// The hours that have a file, by their begin.
  private final ConcurrentSkipListMap<Long, Path> written = new ConcurrentSkipListMap<>();

  // Guarded by this.
  private final TreeMap<Long, Usage> live = new TreeMap<>();
  private @Nullable Usage latest;
  private long newest = Long.MIN_VALUE;

  /// Hours with rows and without a file, each with the time of the last row that came for it since
  /// it was looked at.
  private final TreeMap<Long, Long> missing = new TreeMap<>();

  private volatile boolean closed;
  private volatile @Nullable Usage counted;
  private @Nullable Thread counting;
  private long lastCounted = Long.MIN_VALUE;

  /// Reads which hours are written, and counts the newest two from the rows where they are not.
  HourlyUsage(Path folder, QuestDbHistory rows, long nowNanos) {
    this.folder = folder;
    this.rows = rows;
    try {
      Files.createDirectories(folder);
      try (Stream<Path> files = Files.list(folder)) {
        for (Path file : files.toList()) {
          long hour = hour(file);
          if (hour >= 0) {
            written.put(hour, file);
          }
        }
      }
    } catch (IOException e) {
      throw new HistoryException(
          "history cannot be written (" + e + "); make " + folder + " writable for this user", e);
    }
    long young = Usage.hourOf(nowNanos - GRACE.toNanos());
    for (long hour : rows.hours()) {
      newest = Math.max(newest, hour);
      if (!written.containsKey(hour)) {
        openHour(hour, hour >= young);
      }
    }
    if (!written.isEmpty()) {
      newest = Math.max(newest, written.lastKey());
    }
  }

  private void openHour(long hour, boolean young) {
    if (young) {
      try {
        live.put(hour, count(hour));
        return;
      } catch (HistoryException e) {
        LOG.log(WARNING, "an hour of history cannot be counted: {0}", e.getMessage());
      }
    }
    missing.put(hour, QUIET);
  }

  private static long hour(Path file) {
    try {
      return Math.multiplyExact(
          Instant.parse(file.getFileName() + ":00:00Z").getEpochSecond(), 1_000_000_000L);
    } catch (DateTimeParseException | ArithmeticException _) {
      return -1;
    }
  }

  private Usage count(long hour) {
    Usage usage = Usage.ofHour(hour);
    rows.scan(
        new AccessHistory.Selection(null, null, null, hour, hour + Usage.HOUR_NANOS),
        row -> {
          usage.add(row);
          return !closed;
        });
    return usage;
  }

  /// Adds an access.
  synchronized void add(Access access, Binding binding) {
    long time = access.timeNanos();
    Usage usage = latest;
    if (usage == null
        || time < usage.startNanos()
        || time - usage.startNanos() >= Usage.HOUR_NANOS) {
      long hour = Usage.hourOf(time);
      usage = live.get(hour);
      if (usage == null) {
        if (missing.containsKey(hour) || (hour <= newest && !written.containsKey(hour))) {
          missing.put(hour, time);
          return;
        }
        usage = Usage.ofHour(hour);
        live.put(hour, usage);
        newest = Math.max(newest, hour);
      }
      latest = usage;
    }
    usage.add(access, binding);
  }

  /// Writes the hours that are over.
  void tend(long nowNanos) {
    while (true) {
      Usage over;
      synchronized (this) {
        if (live.isEmpty() || live.firstKey() + Usage.HOUR_NANOS + GRACE.toNanos() > nowNanos) {
          break;
        }
        over = live.firstEntry().getValue();
      }
      // Only this thread adds, so it stays what it is while it is written.
      write(over);
    }
    countMissing();
  }

  /// Writes an hour, added to what is written of it, and keeps it in memory no longer.
  private void write(Usage usage) {
    long hour = usage.startNanos();
    Path file = written.get(hour);
    Usage whole = usage;
    if (file != null) {
      whole = read(hour);
      if (whole != null) {
        whole.add(usage);
      }
    } else {
      file = folder.resolve(NAME.format(Instant.ofEpochSecond(hour / 1_000_000_000L)));
    }
    boolean done = false;
    try {
      if (whole != null) {
        AtomicFile.write(file, whole.toBytes());
        done = true;
      }
    } catch (IOException e) {
      LOG.log(WARNING, "what happened in an hour cannot be written: {0}", e.toString());
    }
    // At once, so that nobody adds both up.
    synchronized (this) {
      live.remove(hour);
      latest = null;
      if (done) {
        written.put(hour, file);
        missing.remove(hour, QUIET);
      } else {
        missing.put(hour, QUIET);
      }
    }
  }

  /// Takes what was counted in the background, and begins the next.
  private void countMissing() {
    Thread before = counting;
    if (before != null && before.isAlive()) {
      return;
    }
    Set<Long> known = rows.hours();
    Usage done = counted;
    counted = null;
    long hour;
    synchronized (this) {
      // Of rows that went, what was written stays.
      missing.keySet().retainAll(known);
      boolean wanted = done != null && missing.getOrDefault(done.startNanos(), 0L) == QUIET;
      if (!wanted) {
        done = null;
      }
    }
    if (done != null) {
      written.remove(done.startNanos());
      write(done);
    }
    synchronized (this) {
      if (missing.isEmpty()) {
        return;
      }
      Long next = missing.higherKey(lastCounted);
      hour = next == null ? missing.firstKey() : next;
      lastCounted = hour;
      if (missing.put(hour, QUIET) != QUIET) {
        return; // rows came lately, and more may
      }
    }
    counting =
        Thread.ofPlatform()
            .daemon()
            .name("history-usage")
            .start(() -> {
              try {
                Usage usage = count(hour);
                counted = closed ? null : usage;
              } catch (HistoryException e) {
                LOG.log(DEBUG, "while counting an hour again", e);
              }
            });
  }

  /// The hours that lie within a time and are counted, the oldest first, each read when it is asked
  /// for. The hour under way is one of them if the time goes on until after its last touch.
  Iterator<Usage> between(long fromNanos, long toNanos) {
    TreeSet<Long> hours;
    synchronized (this) {
      hours = new TreeSet<>(written.keySet());
      hours.addAll(live.keySet());
      hours.removeAll(missing.keySet());
    }
    return hours.tailSet(fromNanos, true).headSet(toNanos, false).stream()
        .map(hour -> read(hour, toNanos))
        .filter(Objects::nonNull)
        .iterator();
  }

  private @Nullable Usage read(long hour, long toNanos) {
    Usage whole = null;
    byte[] current;
    synchronized (this) {
      Usage usage = live.get(hour);
      boolean over = hour <= toNanos - Usage.HOUR_NANOS;
      if (usage == null ? !over : usage.lastNanos() >= toNanos) {
        return null;
      }
      current = usage == null ? null : usage.toBytes();
      if (current != null && written.containsKey(hour)) {
        // What came late is not in the file yet; it is when this lock is free.
        whole = read(hour);
        if (whole == null || !over) {
          return null;
        }
      }
    }
    if (current == null) {
      return read(hour);
    }
    Usage late = Usage.of(current);
    if (whole == null) {
      return late;
    }
    whole.add(late);
    return whole;
  }

  private @Nullable Usage read(long hour) {
    Path file = written.get(hour);
    if (file == null) {
      return null;
    }
    try {
      if (Files.size(file) > LARGEST_FILE) {
        throw new IllegalArgumentException("it is too large");
      }
      Usage usage = Usage.of(Files.readAllBytes(file));
      if (usage.startNanos() != hour) {
        throw new IllegalArgumentException("it is of another hour");
      }
      return usage;
    } catch (IOException e) {
      LOG.log(DEBUG, "while reading what happened in an hour", e);
      return null;
    } catch (IllegalArgumentException | ArithmeticException e) {
      LOG.log(
          WARNING,
          "{0} cannot be read ({1}); it is counted again if there are rows",
          file,
          String.valueOf(e.getMessage()));
      synchronized (this) {
        missing.put(hour, QUIET);
      }
      written.remove(hour);
      return null;
    }
  }

  private void forget(long hour) {
    Path file = written.remove(hour);
    try {
      if (file != null) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      LOG.log(DEBUG, "while removing what happened in an hour", e);
    }
  }

  /// Removes the hours before a time, and then the oldest until the rest fits.
  ///
  /// @return how many were removed
  int trim(long beforeNanos, long capacityBytes) {
    int removed = 0;
    long bytes = 0;
    for (Map.Entry<Long, Path> entry : written.descendingMap().entrySet()) {
      try {
        bytes += Files.size(entry.getValue());
      } catch (IOException e) {
        LOG.log(DEBUG, "while measuring what hours take", e);
      }
      if (entry.getKey() + Usage.HOUR_NANOS <= beforeNanos || bytes > capacityBytes) {
        forget(entry.getKey());
        removed++;
      }
    }
    return removed;
  }

  /// Ends what is counted in the background.
  void close() {
    closed = true;
    Thread thread = counting;
    if (thread != null) {
      try {
        thread.join(Duration.ofSeconds(5));
      } catch (InterruptedException _) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
