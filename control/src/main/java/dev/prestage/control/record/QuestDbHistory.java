package dev.prestage.control.record;

import dev.prestage.control.aggregate.Usage;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Resource;
import io.questdb.DefaultTelemetryConfiguration;
import io.questdb.TelemetryConfiguration;
import io.questdb.cairo.CairoEngine;
import io.questdb.cairo.CairoException;
import io.questdb.cairo.DefaultCairoConfiguration;
import io.questdb.cairo.O3PartitionPurgeJob;
import io.questdb.cairo.TableUtils;
import io.questdb.cairo.TableWriter;
import io.questdb.griffin.SqlException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// The history in an embedded QuestDB: one table, `access`, in a folder of ours.
///
/// The folder holds `version` (the version of the schema), `lock` (held while a process has it
/// open) and `db`, the database. The table is partitioned by hour and bypasses QuestDB's
/// write-ahead log, because there is one writer: that is twice as fast, and a process killed at any
/// moment loses at most the open batch. A power cut may lose what the kernel had not written yet;
/// history only advises, so no commit waits for the disk.
///
/// Accesses may come out of order: a slow read is reported after a faster, younger one. A commit
/// sorts its batch, and one whose rows lie a little before those of the last commit costs about 7
/// ms (measured with 3 million rows in the hour), because QuestDB splits the partition instead of
/// rewriting it.
///
/// Threading: one thread appends and commits, any thread asks; [#close] waits for the questions
/// under way.
public final class QuestDbHistory implements AccessHistory {
  /// The version of the schema. A folder of an older one is read, of a newer one refused.
  static final int VERSION = 2;

  private static final String VERSION_FILE = "version";
  private static final String VERSION_WORD = "prestage-history ";

  private static final String TABLE = "access";

  /// QuestDB's name of the folder of a table without a write-ahead log.
  private static final String TABLE_FOLDER = TABLE;

  /// More bindings than a host has at one time.
  private static final int NUMBERED = 1 << 14;

  private static final long HOUR_NANOS = Duration.ofHours(1).toNanos();

  /// Measured with 3 million rows.
  private static final int ROW_BYTES = 45;

  /// EPERM, EIO, ENOMEM, EACCES, ENFILE, EMFILE, ENOSPC, EROFS, EDQUOT.
  private static final Set<Integer> HOST_ERRORS = Set.of(1, 5, 12, 13, 23, 24, 28, 30, 122);

  private static final String CREATE =
      """
      CREATE TABLE IF NOT EXISTS access (
        time TIMESTAMP_NS, tenant SYMBOL, program SYMBOL, vm SYMBOL, type SYMBOL, space SYMBOL,
        resource LONG, access SYMBOL, size INT, cause SYMBOL, waited BOOLEAN, latency LONG,
        run LONG
      ) TIMESTAMP(time) PARTITION BY HOUR BYPASS WAL\
      """;

  /// What a table of version 1 lacks.
  private static final String FROM_VERSION_1 =
      "ALTER TABLE access ADD COLUMN IF NOT EXISTS run LONG";

  private final Path folder;
  private final FileChannel lock;
  private final Configuration configuration;
  private final CairoEngine engine;
  private final TableWriter writer;
  private final QuestDbQueries queries;
  private final ReentrantReadWriteLock open = new ReentrantReadWriteLock();
  private final IdentityHashMap<Binding, Numbers> numbered = new IdentityHashMap<>();
  private final Map<AccessType, Integer> accessTypes = new EnumMap<>(AccessType.class);
  private final Map<Cause, Integer> causes = new EnumMap<>(Cause.class);
  private boolean closed;

  /// Opens the history, or makes a new one in an empty or missing folder.
  ///
  /// @throws HistoryException when the folder cannot be used: not writable, in use by another
  ///   process, written by a newer version, damaged, or not a history
  public QuestDbHistory(Path folder) {
    this.folder = folder;
    this.lock = claim(folder);
    CairoEngine opened = null;
    try {
      QuestDbLog.install();
      Path database = folder.resolve("db");
      int found = version(folder, database);
      Files.createDirectories(database);
      this.configuration = new Configuration(folder, database);
      opened = new CairoEngine(configuration);
      opened.execute(CREATE, QuestDbQueries.context(opened, configuration));
      if (found < VERSION) {
        opened.execute(FROM_VERSION_1, QuestDbQueries.context(opened, configuration));
        writeVersion(folder);
      }
      this.writer = opened.getWriter(opened.verifyTableName(TABLE), "history");
      checkColumns(writer);
      this.engine = opened;
      this.queries = new QuestDbQueries(opened, configuration);
    } catch (Throwable e) {
      if (opened != null) {
        quietly(opened);
      }
      quietly(lock);
      if (e instanceof HistoryException ours) {
        throw ours;
      }
      if (e instanceof OutOfMemoryError memory) {
        throw memory;
      }
      if (e instanceof IOException) {
        throw unusable(folder, e);
      }
      // Whatever QuestDB throws at a folder that it cannot read, assertions and access errors of
      // mapped files included.
      throw new HistoryException(
          "history at "
              + folder
              + " cannot be opened ("
              + reason(e)
              + "); free space if its disk is full; if the folder is damaged, move it away and restart: a"
              + " new history begins",
          e,
          isDamage(e));
    }
  }

  /// Whether a failure comes from what is in the files, and not from the host around them.
  static boolean isDamage(Throwable e) {
    return !(e instanceof LinkageError)
        && !(e instanceof CairoException cairo && HOST_ERRORS.contains(cairo.getErrno()));
  }

  /// Rows that are committed.
  long rows() {
    return writer.size();
  }

  /// The hours that have committed rows, by their begin. For the thread that appends.
  Set<Long> hours() {
    Set<Long> hours = new TreeSet<>();
    for (int i = 0; i < writer.getPartitionCount(); i++) {
      // The newest may be split.
      hours.add(Usage.hourOf(writer.getPartitionTimestamp(i)));
    }
    return hours;
  }

  /// Drops the oldest hours: those that ended before a time, and then as many as it takes for the
  /// rest to fit. The newest hour stays. Nothing may be appended and not committed.
  ///
  /// @return how many rows were dropped
  long trim(long beforeNanos, long capacityBytes) {
    removeLeftovers();
    long before = writer.size();
    while (writer.getPartitionCount() > 1
        && writer.getPartitionTimestamp(0) + HOUR_NANOS <= beforeNanos) {
      if (!writer.removePartition(writer.getPartitionTimestamp(0))) {
        break;
      }
    }
    if (writer.size() > 0) {
      long bytes = sizeBytes();
      double bytesPerRow = (double) bytes / writer.size();
      while (bytes > capacityBytes && writer.getPartitionCount() > 1) {
        long oldest = writer.getPartitionTimestamp(0);
        long rows = writer.size();
        if (!writer.removePartition(oldest)) {
          break;
        }
        bytes -= (long) ((rows - writer.size()) * bytesPerRow);
      }
    }
    return before - writer.size();
  }

  /// Removes the files of hours that a question was reading when they were dropped or rewritten. A
  /// server of QuestDB has a thread for that; here nobody else does it.
  private void removeLeftovers() {
    boolean _ =
        TableUtils.schedulePurgeO3Partitions(
            engine.getMessageBus(),
            writer.getTableToken(),
            writer.getTimestampType(),
            writer.getPartitionBy());
    try (O3PartitionPurgeJob purge = new O3PartitionPurgeJob(engine, 1)) {
      purge.drain(0);
    }
  }

  /// What the hours take on disk. The newest is written to and its files are longer than what they
  /// hold, so it counts by its rows.
  private long sizeBytes() {
    int newest = writer.getPartitionCount() - 1;
    long rowsBefore = writer.size() - writer.getPartitionSize(newest);
    String last = "";
    long all = 0;
    long ofLast = 0;
    try (Stream<Path> entries = Files.list(folder.resolve("db").resolve(TABLE_FOLDER))) {
      for (Path entry : entries.sorted().toList()) {
        String name = String.valueOf(entry.getFileName());
        if (!Character.isDigit(name.charAt(0)) || !Files.isDirectory(entry)) {
          continue;
        }
        long bytes = 0;
        try (Stream<Path> files = Files.list(entry)) {
          for (Path file : files.toList()) {
            bytes += Files.size(file);
          }
        }
        all += bytes;
        last = name;
        ofLast = bytes;
      }
    } catch (IOException | UncheckedIOException e) {
      // Counted again in a minute.
      System.getLogger(QuestDbHistory.class.getName())
          .log(System.Logger.Level.DEBUG, "while measuring the history", e);
    }
    long others = last.isEmpty() ? 0 : all - ofLast;
    double perRow = rowsBefore == 0 ? ROW_BYTES : (double) others / rowsBefore;
    return others + (long) (perRow * writer.getPartitionSize(newest));
  }

  @Override
  public void append(Access access, Binding binding) {
    Numbers numbers = numbered.get(binding);
    if (numbers == null) {
      numbers = number(binding);
    }
    TableWriter.Row row = writer.newRow(access.timeNanos());
    row.putSymIndex(QuestDbQueries.TENANT, numbers.tenant());
    row.putSymIndex(QuestDbQueries.PROGRAM, numbers.program());
    row.putSymIndex(QuestDbQueries.VM, numbers.vm());
    row.putSymIndex(QuestDbQueries.TYPE, numbers.type());
    row.putSymIndex(QuestDbQueries.SPACE, numbers.space());
    row.putLong(QuestDbQueries.RESOURCE, Resource.index(access.resource()));
    row.putSymIndex(
        QuestDbQueries.ACCESS, number(QuestDbQueries.ACCESS, accessTypes, access.type()));
    row.putInt(QuestDbQueries.SIZE, (int) access.amount());
    row.putSymIndex(QuestDbQueries.CAUSE, number(QuestDbQueries.CAUSE, causes, access.cause()));
    row.putBool(QuestDbQueries.WAITED, access.waited());
    row.putLong(QuestDbQueries.LATENCY, access.latencyNanos());
    if (access.run() != Access.NO_RUN) {
      row.putLong(QuestDbQueries.RUN, access.run());
    }
    row.append();
  }

  /// The database's numbers for a binding's names: to look up five names takes longer than all the
  /// rest of a row.
  private record Numbers(int tenant, int program, int vm, int type, int space) {}

  private Numbers number(Binding binding) {
    if (numbered.size() == NUMBERED) {
      numbered.clear(); // of VMs that are long gone, most of them
    }
    var numbers =
        new Numbers(
            number(QuestDbQueries.TENANT, binding.vm().program().tenant()),
            number(QuestDbQueries.PROGRAM, binding.vm().program().name()),
            number(QuestDbQueries.VM, binding.vm().name()),
            number(QuestDbQueries.TYPE, binding.space().type().text()),
            number(QuestDbQueries.SPACE, binding.space().name()));
    numbered.put(binding, numbers);
    return numbers;
  }

  private <E extends Enum<E>> int number(int column, Map<E, Integer> known, E value) {
    return known.computeIfAbsent(value, _ -> number(column, value.name()));
  }

  private int number(int column, String name) {
    return writer.getSymbolMapWriter(column).put(name);
  }

  @Override
  public void commit() {
    writer.commit();
  }

  @Override
  public List<Row> find(Query query) {
    if (query.limit() < 0) {
      throw new IllegalArgumentException("limit " + query.limit());
    }
    List<Row> rows = new ArrayList<>();
    read(() -> queries.newestFirst(query, rows::add));
    return List.copyOf(rows.reversed());
  }

  @Override
  public void scan(Selection selection, Visitor visitor) {
    read(() -> queries.oldestFirst(selection, visitor));
  }

  /// A question to the database.
  @FunctionalInterface
  private interface Question {
    void ask() throws SqlException;
  }

  private void read(Question question) {
    open.readLock().lock();
    try {
      if (closed) {
        throw new HistoryException("history at " + folder + " is closed", null);
      }
      question.ask();
    } catch (SqlException | RuntimeException | AssertionError | InternalError e) {
      if (e instanceof HistoryException ours) {
        throw ours;
      }
      throw new HistoryException(
          "history at "
              + folder
              + " cannot be read ("
              + reason(e)
              + "); if this stays, move the folder away and restart: a new history begins",
          e);
    } finally {
      open.readLock().unlock();
    }
  }

  /// Closes the database. What was appended after the last commit is gone.
  @Override
  public void close() {
    open.writeLock().lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      quietly(writer);
      quietly(engine);
      quietly(lock);
    } finally {
      open.writeLock().unlock();
    }
  }

  /// Takes the folder for this process. QuestDB maps files, so a second process on the same folder
  /// would damage it.
  private static FileChannel claim(Path folder) {
    try {
      Files.createDirectories(folder);
      FileChannel channel =
          FileChannel.open(
              folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      @Nullable FileLock held;
      try {
        held = channel.tryLock();
      } catch (OverlappingFileLockException _) {
        held = null;
      } catch (IOException e) {
        channel.close();
        throw e;
      }
      if (held == null) {
        channel.close();
        throw new HistoryException(
            "history at "
                + folder
                + " is in use by another process; stop that one, or give this one a folder of its"
                + " own",
            null);
      }
      return channel;
    } catch (IOException e) {
      throw unusable(folder, e);
    }
  }

  /// The version of what is in the folder; an empty one gets this version.
  private static int version(Path folder, Path database) throws IOException {
    Path file = folder.resolve(VERSION_FILE);
    if (!Files.exists(file)) {
      try (Stream<Path> content = Files.exists(database) ? Files.list(database) : Stream.empty()) {
        if (content.findAny().isPresent()) {
          throw new HistoryException(
              "history at "
                  + folder
                  + " has no readable version file, so it is not ours or is damaged; move the"
                  + " folder away and restart: a new history begins",
              null,
              true);
        }
      }
      writeVersion(folder);
      return VERSION;
    }
    String text = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1).strip();
    int version = -1;
    if (text.startsWith(VERSION_WORD)) {
      try {
        version = Integer.parseInt(text.substring(VERSION_WORD.length()));
      } catch (NumberFormatException _) {
        // said below
      }
    }
    if (version < 1) {
      throw new HistoryException(
          "history at "
              + folder
              + " has a damaged version file; move the folder away and restart: a new history"
              + " begins",
          null,
          true);
    }
    if (version > VERSION) {
      throw new HistoryException(
          "history at "
              + folder
              + " was written by a newer Prestage (schema "
              + version
              + ", this one knows "
              + VERSION
              + "); upgrade, or move the folder away: a new history begins",
          null);
    }
    return version;
  }

  private static void writeVersion(Path folder) throws IOException {
    Path fresh = folder.resolve(VERSION_FILE + ".new");
    Files.writeString(fresh, VERSION_WORD + VERSION + "\n");
    Files.move(fresh, folder.resolve(VERSION_FILE), StandardCopyOption.ATOMIC_MOVE);
  }

  private static void checkColumns(TableWriter writer) {
    if (writer.getMetadata().getColumnCount() != QuestDbQueries.RUN + 1
        || writer.getMetadata().getColumnIndexQuiet("run") != QuestDbQueries.RUN) {
      throw new IllegalStateException("table access has other columns than schema " + VERSION);
    }
  }

  private static HistoryException unusable(Path folder, Throwable e) {
    return new HistoryException(
        "history at "
            + folder
            + " cannot be written ("
            + reason(e)
            + "); make the folder writable for this user or configure another",
        e);
  }

  private static String reason(Throwable e) {
    String message = e.getMessage();
    String text = message == null ? e.getClass().getSimpleName() : message;
    return e instanceof java.nio.file.FileSystemException
        ? e.getClass().getSimpleName() + ": " + text
        : text.lines().findFirst().orElse("");
  }

  private static void quietly(AutoCloseable resource) {
    try {
      resource.close();
    } catch (Exception | AssertionError e) {
      System.getLogger(QuestDbHistory.class.getName())
          .log(System.Logger.Level.DEBUG, "while closing the history", e);
    }
  }

  /// QuestDB's defaults without what phones home or keeps books about itself.
  private static final class Configuration extends DefaultCairoConfiguration {
    private final String root;
    private final TelemetryConfiguration telemetry =
        new DefaultTelemetryConfiguration() {
          @Override
          public boolean getEnabled() {
            return false;
          }

          @Override
          public boolean getDisableCompletely() {
            return true;
          }
        };

    Configuration(Path folder, Path database) {
      super(database.toString());
      this.root = folder.toString();
    }

    @Override
    public String getInstallRoot() {
      return root;
    }

    @Override
    public TelemetryConfiguration getTelemetryConfiguration() {
      return telemetry;
    }
  }
}
