package dev.prestage.control.record;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Resource;
import io.questdb.DefaultTelemetryConfiguration;
import io.questdb.TelemetryConfiguration;
import io.questdb.cairo.CairoConfiguration;
import io.questdb.cairo.CairoEngine;
import io.questdb.cairo.CairoException;
import io.questdb.cairo.DefaultCairoConfiguration;
import io.questdb.cairo.O3PartitionPurgeJob;
import io.questdb.cairo.TableUtils;
import io.questdb.cairo.TableWriter;
import io.questdb.griffin.SqlException;
import java.io.IOException;
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
import java.util.Comparator;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// The history in an embedded QuestDB: one table, `accesses`, in a folder of ours.
///
/// The folder holds `version` (the version of the schema), `lock` (held while a process has it
/// open) and `db`, the database. The table is partitioned by hour and bypasses QuestDB's
/// write-ahead log, because there is one writer: that is twice as fast, and a process killed at any
/// moment loses at most the open batch. A power cut may lose what the kernel had not written yet;
/// history only advises, so no commit waits for the disk.
///
/// A folder of schema 1 or 2 has a table `access` with other columns. Its rows are read as if they
/// lay in the new table, until their hours are dropped like any others; then the table goes.
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
  static final int VERSION = 3;

  /// The last version that wrote the older table.
  private static final int LAST_OLDER = 2;

  private static final String VERSION_FILE = "version";
  private static final String VERSION_WORD = "prestage-history ";

  /// There while the older table is being removed.
  private static final String OLDER_IS_OVER = "older-is-over";

  /// More bindings than a host has at one time.
  private static final int NUMBERED = 1 << 14;

  private static final long HOUR_NANOS = Duration.ofHours(1).toNanos();

  /// EPERM, EIO, ENOMEM, EACCES, ENFILE, EMFILE, ENOSPC, EROFS, EDQUOT.
  private static final Set<Integer> HOST_ERRORS = Set.of(1, 5, 12, 13, 23, 24, 28, 30, 122);

  /// What a table of version 1 lacks.
  private static final String FROM_VERSION_1 =
      "ALTER TABLE access ADD COLUMN IF NOT EXISTS run LONG";

  private final Path folder;
  private final FileChannel lock;
  private final Configuration configuration;
  private final CairoEngine engine;
  private final AccessTable table;
  private final AccessReader reader;
  private final ReentrantReadWriteLock open = new ReentrantReadWriteLock();
  private final IdentityHashMap<Binding, Integer> numbered = new IdentityHashMap<>();
  private volatile @Nullable Older older;
  private boolean closed;

  /// What an older Prestage wrote, until its last hour is dropped.
  private record Older(AccessTable table, OlderQueries queries) {}

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
      removeHalves(folder, database, found);
      opened = new CairoEngine(configuration);
      this.older = olderTable(opened, configuration, found);
      opened.execute(AccessTable.CREATE, OlderQueries.context(opened, configuration));
      if (found < VERSION) {
        writeVersion(folder);
      }
      this.table = table(opened, configuration, AccessTable.NAME);
      checkColumns(table.writer(), AccessTable.RUN);
      this.reader = new AccessReader(opened, opened.verifyTableName(AccessTable.NAME));
      this.engine = opened;
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

  private static AccessTable table(
      CairoEngine engine, CairoConfiguration configuration, String name) {
    // QuestDB's name of the folder of a table without a write-ahead log is the table's.
    return new AccessTable(
        engine.getWriter(engine.verifyTableName(name), "history"),
        Path.of(configuration.getDbRoot(), name));
  }

  /// The table of an earlier version, if the folder has one with rows in it.
  private static @Nullable Older olderTable(
      CairoEngine engine, CairoConfiguration configuration, int found) throws SqlException {
    if (engine.getTableTokenIfExists(AccessTable.OLDER) == null) {
      return null;
    }
    if (found < LAST_OLDER) {
      engine.execute(FROM_VERSION_1, OlderQueries.context(engine, configuration));
    }
    AccessTable table = table(engine, configuration, AccessTable.OLDER);
    checkColumns(table.writer(), OlderQueries.RUN);
    return new Older(table, new OlderQueries(engine, configuration));
  }

  /// What a process left that was killed while it made the table, or removed the older one.
  private static void removeHalves(Path folder, Path database, int found) throws IOException {
    if (found < VERSION) {
      // Nothing is appended before the version is written.
      remove(database.resolve(AccessTable.NAME));
    }
    Path over = folder.resolve(OLDER_IS_OVER);
    if (Files.exists(over)) {
      remove(database.resolve(AccessTable.OLDER));
      Files.delete(over);
    }
  }

  private static void remove(Path tree) throws IOException {
    if (!Files.isDirectory(tree)) {
      return;
    }
    try (Stream<Path> files = Files.walk(tree)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  /// Rows that are committed.
  long rows() {
    Older before = older;
    return table.rows() + (before == null ? 0 : before.table().rows());
  }

  /// The hours that have committed rows, by their begin. For the thread that appends.
  Set<Long> hours() {
    Set<Long> hours = new TreeSet<>();
    table.addHours(hours);
    Older before = older;
    if (before != null) {
      before.table().addHours(hours);
    }
    return hours;
  }

  /// Drops the oldest hours: those that ended before a time, and then as many as it takes for the
  /// rest to fit. The newest hour stays. Nothing may be appended and not committed.
  ///
  /// @return how many rows were dropped
  long trim(long beforeNanos, long capacityBytes) {
    long before = rows();
    Older kept = older;
    if (kept != null) {
      removeLeftovers(kept.table());
      trimOlder(kept.table(), beforeNanos, capacityBytes - table.sizeBytes());
    }
    removeLeftovers(table);
    trim(table, beforeNanos, capacityBytes);
    return before - rows();
  }

  private static void trim(AccessTable table, long beforeNanos, long capacityBytes) {
    while (!table.isLast() && table.oldestNanos() + HOUR_NANOS <= beforeNanos) {
      if (!table.removeOldest()) {
        break;
      }
    }
    if (table.rows() > 0) {
      long bytes = table.sizeBytes();
      double bytesPerRow = (double) bytes / table.rows();
      while (bytes > capacityBytes && !table.isLast()) {
        long rows = table.rows();
        if (!table.removeOldest()) {
          break;
        }
        bytes -= (long) ((rows - table.rows()) * bytesPerRow);
      }
    }
  }

  /// Of the older table the last hour goes, too, and with it the table.
  private void trimOlder(AccessTable kept, long beforeNanos, long capacityBytes) {
    trim(kept, beforeNanos, capacityBytes);
    boolean isOver =
        kept.rows() == 0
            || (kept.isLast()
                && (kept.oldestNanos() + HOUR_NANOS <= beforeNanos
                    || kept.sizeBytes() > capacityBytes));
    // While somebody reads it, it stays for another minute.
    if (!isOver || !open.writeLock().tryLock()) {
      return;
    }
    try {
      Path over = folder.resolve(OLDER_IS_OVER);
      if (!Files.exists(over)) {
        Files.createFile(over);
      }
      older = null;
      quietly(kept.writer());
      engine.execute(
          "DROP TABLE IF EXISTS " + AccessTable.OLDER, OlderQueries.context(engine, configuration));
      Files.delete(over);
    } catch (SqlException | CairoException | IOException e) {
      // Tried again after the next start.
      System.getLogger(QuestDbHistory.class.getName())
          .log(System.Logger.Level.WARNING, "an older history cannot be removed: {0}", reason(e));
    } finally {
      open.writeLock().unlock();
    }
  }

  /// Removes the files of hours that a question was reading when they were dropped or rewritten. A
  /// server of QuestDB has a thread for that; here nobody else does it.
  private void removeLeftovers(AccessTable of) {
    TableWriter writer = of.writer();
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

  @Override
  public void append(Access access, Binding binding) {
    Integer known = numbered.get(binding);
    int number = known == null ? number(binding) : known;
    TableWriter.Row row = table.writer().newRow(access.timeNanos());
    row.putSymIndex(AccessTable.BINDING, number);
    row.putLong(AccessTable.RESOURCE, Resource.index(access.resource()));
    row.putByte(AccessTable.ACCESS, AccessCodes.of(access.type()));
    row.putByte(AccessTable.CAUSE, AccessCodes.of(access.cause()));
    row.putBool(AccessTable.WAITED, access.waited());
    row.putInt(AccessTable.SIZE, (int) access.amount());
    row.putLong(AccessTable.LATENCY, access.latencyNanos());
    row.putLong(AccessTable.RUN, access.run());
    row.append();
  }

  /// The database's number for a binding's names: to look it up takes longer than all the rest of a
  /// row.
  private int number(Binding binding) {
    if (numbered.size() == NUMBERED) {
      numbered.clear(); // of VMs that are long gone, most of them
    }
    int number =
        table.writer().getSymbolMapWriter(AccessTable.BINDING).put(BindingNames.of(binding).text());
    numbered.put(binding, number);
    return number;
  }

  @Override
  public void commit() {
    table.writer().commit();
  }

  @Override
  public List<Row> find(Query query) {
    if (query.limit() < 0) {
      throw new IllegalArgumentException("limit " + query.limit());
    }
    List<Row> rows = new ArrayList<>();
    read(() -> {
      reader.newestFirst(query, rows::add);
      Older before = older;
      if (before != null) {
        before.queries().newestFirst(query, rows::add);
      }
    });
    // Stable, and those of the older table were appended first.
    List<Row> sorted = new ArrayList<>(rows.reversed());
    sorted.sort(Comparator.comparingLong(Row::timeNanos));
    return List.copyOf(sorted.subList(Math.max(0, sorted.size() - query.limit()), sorted.size()));
  }

  @Override
  public void scan(Selection selection, Visitor visitor) {
    read(() -> {
      Older before = older;
      if (before == null) {
        reader.oldestFirst(selection, visitor);
      } else {
        scanBoth(before, selection, visitor);
      }
    });
  }

  /// The rows of both tables in the order of time; of one time, those of the older table first.
  private void scanBoth(Older before, Selection selection, Visitor visitor) throws SqlException {
    try (OlderQueries.Rows rows = before.queries().oldestFirst(selection)) {
      var merged = new Merged(rows, visitor);
      reader.oldestFirst(selection, row -> merged.visitOlder(row.timeNanos()) && merged.visit(row));
      boolean _ = merged.visitOlder(Long.MAX_VALUE);
    }
  }

  /// A visitor that is handed rows of the older table in between.
  private static final class Merged {
    private final OlderQueries.Rows rows;
    private final Visitor visitor;
    private @Nullable Row next;
    private boolean goesOn = true;

    Merged(OlderQueries.Rows rows, Visitor visitor) {
      this.rows = rows;
      this.visitor = visitor;
      this.next = rows.next();
    }

    /// Hands over the rows of the older table until a time, inclusive.
    ///
    /// @return whether to go on
    boolean visitOlder(long untilNanos) {
      for (Row row = next; goesOn && row != null && row.timeNanos() <= untilNanos; row = next) {
        goesOn = visitor.visit(row);
        next = rows.next();
      }
      return goesOn;
    }

    boolean visit(Row row) {
      goesOn = visitor.visit(row);
      return goesOn;
    }
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
      quietly(table.writer());
      Older before = older;
      if (before != null) {
        quietly(before.table().writer());
      }
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

  private static void checkColumns(TableWriter writer, int run) {
    if (writer.getMetadata().getColumnCount() != run + 1
        || writer.getMetadata().getColumnIndexQuiet("run") != run) {
      throw new IllegalStateException(
          "table " + writer.getTableToken().getTableName() + " has other columns than its schema");
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
