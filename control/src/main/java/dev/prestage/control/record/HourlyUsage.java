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
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// What each hour's accesses add up to, kept while they come and for longer than their rows.
///
/// The hours under way are in memory. An hour that has been over for [#GRACE] is written to a file
/// of its own, `usage/2026-11-26T14`, and what still comes for it then has it counted again from
/// the rows. An hour without a file, because the process ended or began in it, is counted from the
/// rows as well: the newest two when the history opens, others one at a time in the background.
///
/// Files are advice like all history: one that cannot be read is removed and counted again, as long
/// as there are rows.
///
/// Threading: one thread adds and tends, any thread asks.
final class HourlyUsage {
  /// How long accesses of an hour may come after its end.
  private static final Duration GRACE = Duration.ofMinutes(2);

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

  /// Hours with rows and without a file, each with the time of the last row that came for it.
  private final TreeMap<Long, Long> missing = new TreeMap<>();

  private volatile boolean closed;
  private @Nullable Thread counting;

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
    long newest = Usage.hourOf(nowNanos - GRACE.toNanos());
    for (long hour : rows.hours()) {
      if (hour >= newest && !written.containsKey(hour)) {
        live.put(hour, counted(hour));
      } else if (!written.containsKey(hour)) {
        missing.put(hour, Long.MIN_VALUE);
      }
    }
  }

  private static long hour(Path file) {
    try {
      return Math.multiplyExact(
          Instant.parse(file.getFileName() + ":00:00Z").getEpochSecond(), 1_000_000_000L);
    } catch (DateTimeParseException | ArithmeticException _) {
      return -1;
    }
  }

  private Usage counted(long hour) {
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
        if (written.containsKey(hour) || missing.containsKey(hour)) {
          missing.put(hour, time);
          return;
        }
        usage = Usage.ofHour(hour);
        live.put(hour, usage);
      }
      latest = usage;
    }
    usage.add(access, binding);
  }

  /// Writes the hours that are over.
  void tend(long nowNanos) {
    List<Usage> over = new ArrayList<>();
    synchronized (this) {
      while (!live.isEmpty() && live.firstKey() + Usage.HOUR_NANOS + GRACE.toNanos() <= nowNanos) {
        Usage usage = live.pollFirstEntry().getValue();
        over.add(usage);
        if (usage == latest) {
          latest = null;
        }
        // Until it is written.
        missing.put(usage.startNanos(), Long.MIN_VALUE);
      }
    }
    over.forEach(this::write);
    countMissing();
  }

  private void write(Usage usage) {
    long hour = usage.startNanos();
    Path file = folder.resolve(NAME.format(Instant.ofEpochSecond(hour / 1_000_000_000L)));
    try {
      AtomicFile.write(file, usage.toBytes());
      written.put(hour, file);
      synchronized (this) {
        missing.remove(hour, Long.MIN_VALUE);
      }
    } catch (IOException e) {
      LOG.log(WARNING, "what happened in an hour cannot be written: {0}", e.toString());
    }
  }

  private void countMissing() {
    Thread before = counting;
    if (before != null && before.isAlive()) {
      return;
    }
    long hour;
    synchronized (this) {
      if (missing.isEmpty()) {
        return;
      }
      // Of rows that went, what was written stays.
      missing.keySet().retainAll(rows.hours());
      if (missing.isEmpty()) {
        return;
      }
      hour = missing.firstKey();
      // What comes from now on has it counted again.
      missing.put(hour, Long.MIN_VALUE);
    }
    counting =
        Thread.ofPlatform()
            .daemon()
            .name("history-usage")
            .start(() -> {
              try {
                Usage usage = counted(hour);
                if (!closed) {
                  write(usage);
                }
              } catch (HistoryException e) {
                LOG.log(DEBUG, "while counting an hour again", e);
              }
            });
  }

  /// The hours that lie within a time and are counted, the oldest first. The hour under way is one
  /// of them if the time goes on until after its last touch.
  List<Usage> between(long fromNanos, long toNanos) {
    NavigableSet<Long> hours;
    List<byte[]> current = new ArrayList<>();
    synchronized (this) {
      hours = new TreeSet<>(written.keySet());
      hours.removeAll(missing.keySet());
      for (Usage usage : live.values()) {
        if (usage.startNanos() >= fromNanos && usage.lastNanos() < toNanos) {
          current.add(usage.toBytes());
        }
      }
    }
    List<Usage> found = new ArrayList<>();
    for (long hour : hours.tailSet(fromNanos, true)) {
      if (hour > toNanos - Usage.HOUR_NANOS) {
        break;
      }
      Usage usage = read(hour);
      if (usage != null) {
        found.add(usage);
      }
    }
    current.forEach(bytes -> found.add(Usage.of(bytes)));
    return found;
  }

  private @Nullable Usage read(long hour) {
    Path file = written.get(hour);
    try {
      return file == null ? null : Usage.of(Files.readAllBytes(file));
    } catch (IOException | IllegalArgumentException e) {
      LOG.log(WARNING, "what happened in an hour cannot be read and is counted again: {0}", e + "");
      forget(hour);
      synchronized (this) {
        missing.put(hour, Long.MIN_VALUE);
      }
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
