package dev.prestage.control.record;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import io.questdb.DefaultTelemetryConfiguration;
import io.questdb.TelemetryConfiguration;
import io.questdb.cairo.CairoEngine;
import io.questdb.cairo.CairoException;
import io.questdb.cairo.DefaultCairoConfiguration;
import io.questdb.cairo.TableWriter;
import io.questdb.cairo.security.AllowAllSecurityContext;
import io.questdb.cairo.sql.Record;
import io.questdb.cairo.sql.RecordCursor;
import io.questdb.cairo.sql.RecordCursorFactory;
import io.questdb.griffin.SqlCompiler;
import io.questdb.griffin.SqlException;
import io.questdb.griffin.SqlExecutionContextImpl;
import io.questdb.griffin.engine.functions.bind.BindVariableServiceImpl;
import io.questdb.std.Numbers;
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
import java.util.List;
import java.util.Objects;
import java.util.Set;
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

  private static final long HOUR_NANOS = Duration.ofHours(1).toNanos();

  /// Measured with 3 million rows.
  private static final int ROW_BYTES = 45;

  /// EPERM, EIO, ENOMEM, EACCES, ENFILE, EMFILE, ENOSPC, EROFS, EDQUOT.
  private static final Set<Integer> HOST_ERRORS = Set.of(1, 5, 12, 13, 23, 24, 28, 30, 122);

  // The columns, in the order of CREATE.
  private static final int TENANT = 1;
  private static final int PROGRAM = 2;
  private static final int VM = 3;
  private static final int TYPE = 4;
  private static final int SPACE = 5;
  private static final int RESOURCE = 6;
  private static final int ACCESS = 7;
  private static final int SIZE = 8;
  private static final int CAUSE = 9;
  private static final int WAITED = 10;
  private static final int LATENCY = 11;
  private static final int RUN = 12;

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

  // Newest first, so that a limit stops the scan; the answer is turned round afterwards.
  private static final String SELECT =
      "SELECT time, tenant, program, vm, type, space, resource, access, size, cause, waited,"
          + " latency, run FROM access WHERE time >= $1 AND time < $2";
  private static final String NEWEST_FIRST = " ORDER BY time DESC LIMIT $3";
  private static final String ALL = SELECT + NEWEST_FIRST;
  private static final String OF_PROGRAM = SELECT + " AND program = $4" + NEWEST_FIRST;
  private static final String OF_VM = SELECT + " AND vm = $4" + NEWEST_FIRST;
  private static final String OF_BOTH = SELECT + " AND program = $4 AND vm = $5" + NEWEST_FIRST;

  private final Path folder;
  private final FileChannel lock;
  private final Configuration configuration;
  private final CairoEngine engine;
  private final TableWriter writer;
  private final ReentrantReadWriteLock open = new ReentrantReadWriteLock();
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
      opened.execute(CREATE, context(opened, configuration));
      if (found < VERSION) {
        opened.execute(FROM_VERSION_1, context(opened, configuration));
        writeVersion(folder);
      }
      this.writer = opened.getWriter(opened.verifyTableName(TABLE), "history");
      checkColumns(writer);
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

  /// Rows that are committed.
  long rows() {
    return writer.size();
  }

  /// Drops the oldest hours: those that ended before a time, and then as many as it takes for the
  /// rest to fit. The newest hour stays. Nothing may be appended and not committed.
  ///
  /// @return how many rows were dropped
  long trim(long beforeNanos, long capacityBytes) {
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
    TableWriter.Row row = writer.newRow(access.timeNanos());
    row.putSym(TENANT, binding.vm().program().tenant());
    row.putSym(PROGRAM, binding.vm().program().name());
    row.putSym(VM, binding.vm().name());
    row.putSym(TYPE, binding.space().type().text());
    row.putSym(SPACE, binding.space().name());
    row.putLong(RESOURCE, Resource.index(access.resource()));
    row.putSym(ACCESS, access.type().name());
    row.putInt(SIZE, (int) access.amount());
    row.putSym(CAUSE, access.cause().name());
    row.putBool(WAITED, access.waited());
    row.putLong(LATENCY, access.latencyNanos());
    if (access.run() != Access.NO_RUN) {
      row.putLong(RUN, access.run());
    }
    row.append();
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
    open.readLock().lock();
    try {
      if (closed) {
        throw new HistoryException("history at " + folder + " is closed", null);
      }
      return select(query);
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

  private List<Row> select(Query query) throws SqlException {
    SqlExecutionContextImpl context = context(engine, configuration);
    var variables = Objects.requireNonNull(context.getBindVariableService());
    variables.setTimestampNano(0, query.fromNanos());
    variables.setTimestampNano(1, query.toNanos());
    variables.setLong(2, query.limit());
    String program = query.program();
    String vm = query.vm();
    String text;
    if (program != null) {
      variables.setStr(3, program);
      if (vm != null) {
        variables.setStr(4, vm);
      }
      text = vm == null ? OF_PROGRAM : OF_BOTH;
    } else if (vm != null) {
      variables.setStr(3, vm);
      text = OF_VM;
    } else {
      text = ALL;
    }
    List<Row> rows = new ArrayList<>();
    try (SqlCompiler compiler = engine.getSqlCompiler();
        RecordCursorFactory factory = compiler.compile(text, context).getRecordCursorFactory();
        RecordCursor cursor = factory.getCursor(context)) {
      Record record = cursor.getRecord();
      while (cursor.hasNext()) {
        rows.add(
            new Row(
                record.getTimestamp(0),
                symbol(record, TENANT),
                symbol(record, PROGRAM),
                symbol(record, VM),
                ResourceType.of(symbol(record, TYPE)),
                symbol(record, SPACE),
                record.getLong(RESOURCE),
                AccessType.valueOf(symbol(record, ACCESS)),
                record.getInt(SIZE),
                Cause.valueOf(symbol(record, CAUSE)),
                record.getBool(WAITED),
                record.getLong(LATENCY),
                run(record)));
      }
    }
    return List.copyOf(rows.reversed());
  }

  private static long run(Record record) {
    long run = record.getLong(RUN);
    return run == Numbers.LONG_NULL ? Access.NO_RUN : run;
  }

  private static String symbol(Record record, int column) {
    @Nullable CharSequence text = record.getSymA(column);
    return text == null ? "" : text.toString();
  }

  private static SqlExecutionContextImpl context(CairoEngine engine, Configuration configuration) {
    return new SqlExecutionContextImpl(engine, 0)
        .with(AllowAllSecurityContext.INSTANCE, new BindVariableServiceImpl(configuration));
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
    if (writer.getMetadata().getColumnCount() != RUN + 1
        || writer.getMetadata().getColumnIndexQuiet("run") != RUN) {
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
