package dev.prestage.control.record;

import dev.prestage.engine.history.AccessHistory;
import io.questdb.cairo.CairoEngine;
import io.questdb.cairo.TableReader;
import io.questdb.cairo.TableToken;
import io.questdb.cairo.vm.api.MemoryCR;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// Reads rows of the table of accesses from its mapped columns, an hour after the other: each
/// question sees what was committed when it began, whatever is written meanwhile.
///
/// No SQL: a question selects by the names of a binding, so it is answered once for each binding
/// and not for each row, and a row is put together from nine columns where they lie.
///
/// Any thread may ask; who owns the database keeps it open meanwhile.
final class AccessReader {
  private static final Logger LOG = System.getLogger(AccessReader.class.getName());

  private final CairoEngine engine;
  private final TableToken table;

  AccessReader(CairoEngine engine, TableToken table) {
    this.engine = engine;
    this.table = table;
  }

  /// The newest rows, newest first.
  void newestFirst(AccessHistory.Query query, AccessHistory.Visitor visitor) {
    try (TableReader reader = engine.getReader(table)) {
      var names =
          new Names(
              reader,
              binding ->
                  isOrAny(query.program(), binding.program()) && isOrAny(query.vm(), binding.vm()));
      int left = query.limit();
      for (int i = reader.getPartitionCount() - 1; i >= 0 && left > 0; i--) {
        Part part = Part.open(reader, i, query.fromNanos(), query.toNanos());
        if (part == null) {
          continue;
        }
        for (long row = part.end - 1; row >= part.begin && left > 0; row--) {
          BindingNames binding = names.of(part.binding(row));
          if (binding != null && part.isWhole(row)) {
            left--;
            if (!visitor.visit(part.row(row, binding))) {
              return;
            }
          }
        }
      }
    }
  }

  /// The rows of a selection, oldest first.
  void oldestFirst(AccessHistory.Selection selection, AccessHistory.Visitor visitor) {
    try (TableReader reader = engine.getReader(table)) {
      var names =
          new Names(
              reader,
              binding ->
                  isOrAny(selection.program(), binding.program())
                      && isOrAny(selection.vm(), binding.vm())
                      && (selection.type() == null || selection.type() == binding.type()));
      for (int i = 0; i < reader.getPartitionCount(); i++) {
        Part part = Part.open(reader, i, selection.fromNanos(), selection.toNanos());
        if (part != null && !visit(part, names, visitor)) {
          return;
        }
      }
    }
  }

  private static boolean visit(Part part, Names names, AccessHistory.Visitor visitor) {
    for (long row = part.begin; row < part.end; row++) {
      BindingNames binding = names.of(part.binding(row));
      if (binding != null && part.isWhole(row) && !visitor.visit(part.row(row, binding))) {
        return false;
      }
    }
    return true;
  }

  private static boolean isOrAny(@Nullable String wanted, String name) {
    return wanted == null || wanted.equals(name);
  }

  /// The rows of an hour, or of a part of it, that lie within a time.
  private static final class Part {
    private final MemoryCR times;
    private final MemoryCR bindings;
    private final MemoryCR resources;
    private final MemoryCR accesses;
    private final MemoryCR causes;
    private final MemoryCR waited;
    private final MemoryCR sizes;
    private final MemoryCR latencies;
    private final MemoryCR runs;
    private final long begin;
    private final long end;

    private Part(TableReader reader, int partition, long rows, long fromNanos, long toNanos) {
      int base = reader.getColumnBase(partition);
      times = column(reader, base, AccessTable.TIME);
      bindings = column(reader, base, AccessTable.BINDING);
      resources = column(reader, base, AccessTable.RESOURCE);
      accesses = column(reader, base, AccessTable.ACCESS);
      causes = column(reader, base, AccessTable.CAUSE);
      waited = column(reader, base, AccessTable.WAITED);
      sizes = column(reader, base, AccessTable.SIZE);
      latencies = column(reader, base, AccessTable.LATENCY);
      runs = column(reader, base, AccessTable.RUN);
      begin = firstAtOrAfter(fromNanos, rows);
      end = firstAtOrAfter(toNanos, rows);
    }

    private static MemoryCR column(TableReader reader, int base, int column) {
      return reader.getColumn(TableReader.getPrimaryColumnIndex(base, column));
    }

    /// Null if no row lies within the time.
    static @Nullable Part open(TableReader reader, int partition, long fromNanos, long toNanos) {
      boolean isBefore =
          partition + 1 < reader.getPartitionCount()
              && reader.getPartitionTimestampByIndex(partition + 1) < fromNanos;
      if (isBefore || reader.getPartitionTimestampByIndex(partition) >= toNanos) {
        return null;
      }
      long rows = reader.openPartition(partition);
      return rows <= 0 ? null : new Part(reader, partition, rows, fromNanos, toNanos);
    }

    private long firstAtOrAfter(long nanos, long rows) {
      long low = 0;
      long high = rows;
      while (low < high) {
        long middle = (low + high) >>> 1;
        if (times.getLong(middle * Long.BYTES) < nanos) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      return low;
    }

    int binding(long row) {
      return bindings.getInt(row * Integer.BYTES);
    }

    boolean isWhole(long row) {
      return AccessCodes.areKnown(accesses.getByte(row), causes.getByte(row));
    }

    AccessHistory.Row row(long row, BindingNames names) {
      return new AccessHistory.Row(
          times.getLong(row * Long.BYTES),
          names.tenant(),
          names.program(),
          names.vm(),
          names.type(),
          names.space(),
          resources.getLong(row * Long.BYTES),
          AccessCodes.type(accesses.getByte(row)),
          sizes.getInt(row * Integer.BYTES),
          AccessCodes.cause(causes.getByte(row)),
          waited.getByte(row) != 0,
          latencies.getLong(row * Long.BYTES),
          runs.getLong(row * Long.BYTES));
    }
  }

  /// The names of the bindings that a question is about, by the database's numbers. Each is read
  /// once, and its names are the same texts in all rows, which makes comparing them cheap.
  private static final class Names {
    private final TableReader reader;
    private final Predicate<BindingNames> wanted;
    private final List<@Nullable BindingNames> known = new ArrayList<>();
    private final List<Boolean> isRead = new ArrayList<>();

    Names(TableReader reader, Predicate<BindingNames> wanted) {
      this.reader = reader;
      this.wanted = wanted;
    }

    /// Null if the question is not about this binding.
    @Nullable BindingNames of(int number) {
      return number >= 0 && number < known.size() && isRead.get(number)
          ? known.get(number)
          : read(number);
    }

    private @Nullable BindingNames read(int number) {
      @Nullable CharSequence text = reader.getSymbolTable(AccessTable.BINDING).valueOf(number);
      @Nullable BindingNames names = text == null ? null : parsed(number, text.toString());
      if (number < 0) {
        return null;
      }
      while (known.size() <= number) {
        known.add(null);
        isRead.add(false);
      }
      known.set(number, names != null && wanted.test(names) ? names : null);
      isRead.set(number, true);
      return known.get(number);
    }

    /// Null if a power cut has left something else: that is no reason to answer nothing at all.
    private static @Nullable BindingNames parsed(int number, String text) {
      try {
        return BindingNames.of(text);
      } catch (IllegalArgumentException e) {
        LOG.log(
            Level.WARNING, "history has rows of nobody, number {0}: {1}", number, e.getMessage());
        return null;
      }
    }
  }
}
