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
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// Questions to the table of accesses, answered row by row from a cursor: nothing is sorted or
/// kept, because the table lies in the order of time.
///
/// Values go into a question as bound variables, never as text. Any thread may ask; who owns the
/// database keeps it open meanwhile.
final class QuestDbQueries {
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

  private static final Map<String, ResourceType> TYPES = new HashMap<>();

  static {
    for (ResourceType type : ResourceType.values()) {
      TYPES.put(type.text(), type);
    }
  }

  private final CairoEngine engine;
  private final CairoConfiguration configuration;

  QuestDbQueries(CairoEngine engine, CairoConfiguration configuration) {
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
    statement.run(visitor);
  }

  /// The rows of a selection, oldest first.
  void oldestFirst(AccessHistory.Selection selection, AccessHistory.Visitor visitor)
      throws SqlException {
    Statement statement = new Statement(selection.fromNanos(), selection.toNanos());
    statement.only("program", selection.program());
    statement.only("vm", selection.vm());
    ResourceType type = selection.type();
    statement.only("type", type == null ? null : type.text());
    statement.oldestFirst();
    statement.run(visitor);
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

    void run(AccessHistory.Visitor visitor) throws SqlException {
      try (SqlCompiler compiler = engine.getSqlCompiler();
          RecordCursorFactory factory = compiler.compile(text, context).getRecordCursorFactory();
          RecordCursor cursor = factory.getCursor(context)) {
        Record record = cursor.getRecord();
        while (cursor.hasNext() && visitor.visit(row(record))) {
          // until either has enough
        }
      }
    }
  }

  private static AccessHistory.Row row(Record record) {
    long run = record.getLong(RUN);
    return new AccessHistory.Row(
        record.getTimestamp(0),
        symbol(record, TENANT),
        symbol(record, PROGRAM),
        symbol(record, VM),
        type(symbol(record, TYPE)),
        symbol(record, SPACE),
        record.getLong(RESOURCE),
        AccessType.valueOf(symbol(record, ACCESS)),
        record.getInt(SIZE),
        Cause.valueOf(symbol(record, CAUSE)),
        record.getBool(WAITED),
        record.getLong(LATENCY),
        run == Numbers.LONG_NULL ? Access.NO_RUN : run);
  }

  private static ResourceType type(String text) {
    ResourceType type = TYPES.get(text);
    return type == null ? ResourceType.of(text) : type;
  }

  private static String symbol(Record record, int column) {
    @Nullable CharSequence text = record.getSymA(column);
    return text == null ? "" : text.toString();
  }
}
