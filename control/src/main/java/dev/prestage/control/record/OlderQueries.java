package dev.prestage.control.record;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.ResourceType;
import io.questdb.cairo.CairoConfiguration;
import io.questdb.cairo.CairoEngine;
import io.questdb.cairo.security.AllowAllSecurityContext;
import io.questdb.cairo.sql.BindVariableService;
import io.questdb.cairo.sql.Record;
import io.questdb.cairo.sql.RecordCursor;
import io.questdb.cairo.sql.RecordCursorFactory;
import io.questdb.griffin.SqlCompiler;
import io.questdb.griffin.SqlException;
import io.questdb.griffin.SqlExecutionContextImpl;
import io.questdb.griffin.engine.functions.bind.BindVariableServiceImpl;
import io.questdb.std.Numbers;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// Questions to the table of accesses that a Prestage with schema 1 or 2 wrote, answered row by row
/// from a cursor: nothing is sorted or kept, because the table lies in the order of time.
///
/// Values go into a question as bound variables, never as text. Any thread may ask; who owns the
/// database keeps it open meanwhile.
final class OlderQueries {
  // The columns, in the order of the table.
  static final int TENANT = 1;
  static final int PROGRAM = 2;
  static final int VM = 3;
  static final int TYPE = 4;
  static final int SPACE = 5;
  static final int RESOURCE = 6;
  static final int ACCESS = 7;
  static final int SIZE = 8;
  static final int CAUSE = 9;
  static final int WAITED = 10;
  static final int LATENCY = 11;
  static final int RUN = 12;

  private static final String SELECT =
      "SELECT time, tenant, program, vm, type, space, resource, access, size, cause, waited,"
          + " latency, run FROM access WHERE time >= $1 AND time < $2";

  private final CairoEngine engine;
  private final CairoConfiguration configuration;

  OlderQueries(CairoEngine engine, CairoConfiguration configuration) {
    this.engine = engine;
    this.configuration = configuration;
  }

  /// A context in which a statement runs on the thread that asks.
  static SqlExecutionContextImpl context(CairoEngine engine, CairoConfiguration configuration) {
    return new SqlExecutionContextImpl(engine, 0)
        .with(AllowAllSecurityContext.INSTANCE, new BindVariableServiceImpl(configuration));
  }

  /// The newest rows, newest first, so that the limit stops the scan.
  void newestFirst(AccessHistory.Query query, AccessHistory.Visitor visitor) throws SqlException {
    Statement statement = new Statement(query.fromNanos(), query.toNanos());
    statement.only("program", query.program());
    statement.only("vm", query.vm());
    statement.newestFirst(query.limit());
    try (Rows rows = statement.open()) {
      for (AccessHistory.Row row; (row = rows.next()) != null && visitor.visit(row); ) {
        // until either has enough
      }
    }
  }

  /// The rows of a selection, oldest first, one at a time.
  Rows oldestFirst(AccessHistory.Selection selection) throws SqlException {
    Statement statement = new Statement(selection.fromNanos(), selection.toNanos());
    statement.only("program", selection.program());
    statement.only("vm", selection.vm());
    ResourceType type = selection.type();
    statement.only("type", type == null ? null : type.text());
    statement.oldestFirst();
    return statement.open();
  }

  /// One question: its text, and the variables that it names.
  private final class Statement {
    private final SqlExecutionContextImpl context = context(engine, configuration);
    private final BindVariableService variables =
        Objects.requireNonNull(context.getBindVariableService());
    private final StringBuilder text = new StringBuilder(SELECT);
    private int bound;

    Statement(long fromNanos, long toNanos) throws SqlException {
      variables.setTimestampNano(bound++, fromNanos);
      variables.setTimestampNano(bound++, toNanos);
    }

    void only(String column, @Nullable String name) throws SqlException {
      if (name != null) {
        variables.setStr(bound++, name);
        text.append(" AND ").append(column).append(" = $").append(bound);
      }
    }

    void newestFirst(int limit) throws SqlException {
      variables.setLong(bound++, limit);
      text.append(" ORDER BY time DESC LIMIT $").append(bound);
    }

    void oldestFirst() {
      text.append(" ORDER BY time");
    }

    Rows open() throws SqlException {
      try (SqlCompiler compiler = engine.getSqlCompiler()) {
        RecordCursorFactory factory = compiler.compile(text, context).getRecordCursorFactory();
        try {
          return new Rows(factory, factory.getCursor(context));
        } catch (Throwable e) {
          factory.close();
          throw e;
        }
      }
    }
  }

  /// Rows of one cursor. A name is read from the database once and is the same text in all rows:
  /// that saves seven look-ups a row, and makes comparing names cheap.
  static final class Rows implements AutoCloseable {
    private final RecordCursorFactory factory;
    private final RecordCursor cursor;
    private final Record record;
    private final Column<String> tenants;
    private final Column<String> programs;
    private final Column<String> vms;
    private final Column<ResourceType> types;
    private final Column<String> spaces;
    private final Column<AccessType> accesses;
    private final Column<Cause> causes;

    private Rows(RecordCursorFactory factory, RecordCursor cursor) {
      this.factory = factory;
      this.cursor = cursor;
      this.record = cursor.getRecord();
      tenants = new Column<>(cursor, TENANT, text -> text);
      programs = new Column<>(cursor, PROGRAM, text -> text);
      vms = new Column<>(cursor, VM, text -> text);
      types = new Column<>(cursor, TYPE, ResourceType::of);
      spaces = new Column<>(cursor, SPACE, text -> text);
      accesses = new Column<>(cursor, ACCESS, AccessType::valueOf);
      causes = new Column<>(cursor, CAUSE, Cause::valueOf);
    }

    /// The next row, or null when there are no more.
    AccessHistory.@Nullable Row next() {
      if (!cursor.hasNext()) {
        return null;
      }
      long run = record.getLong(RUN);
      return new AccessHistory.Row(
          record.getTimestamp(0),
          tenants.of(record),
          programs.of(record),
          vms.of(record),
          types.of(record),
          spaces.of(record),
          record.getLong(RESOURCE),
          accesses.of(record),
          record.getInt(SIZE),
          causes.of(record),
          record.getBool(WAITED),
          record.getLong(LATENCY),
          run == Numbers.LONG_NULL ? Access.NO_RUN : run);
    }

    @Override
    public void close() {
      cursor.close();
      factory.close();
    }
  }

  /// A column of names, which the database stores as small numbers.
  private static final class Column<T> {
    private final RecordCursor cursor;
    private final int column;
    private final Function<String, T> meaning;
    private final List<@Nullable T> known = new ArrayList<>();

    Column(RecordCursor cursor, int column, Function<String, T> meaning) {
      this.cursor = cursor;
      this.column = column;
      this.meaning = meaning;
    }

    T of(Record record) {
      int number = record.getInt(column);
      T value = number >= 0 && number < known.size() ? known.get(number) : null;
      return value == null ? read(number) : value;
    }

    private T read(int number) {
      @Nullable CharSequence text = cursor.getSymbolTable(column).valueOf(number);
      T value = meaning.apply(text == null ? "" : text.toString());
      if (number >= 0) {
        while (known.size() <= number) {
          known.add(null);
        }
        known.set(number, value);
      }
      return value;
    }
  }
}
