package dev.prestage.control.record;

import dev.prestage.control.aggregate.Usage;
import io.questdb.cairo.TableWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Stream;

/// A table of accesses, seen as a row of hours. For the thread that appends.
///
/// @param writer the table's only one
/// @param files where the table's files are
record AccessTable(TableWriter writer, Path files) {
  /// The table of the present schema.
  static final String NAME = "accesses";

  /// The table of the schemas before it, 1 and 2.
  static final String OLDER = "access";

  // The columns, in the order of the table.
  static final int TIME = 0;
  static final int BINDING = 1;
  static final int RESOURCE = 2;
  static final int ACCESS = 3;
  static final int CAUSE = 4;
  static final int WAITED = 5;
  static final int SIZE = 6;
  static final int LATENCY = 7;
  static final int RUN = 8;

  /// A row takes 43 bytes. Who appends and who reads keeps the texts that are in use; the database
  /// would keep all that ever were.
  static final String CREATE =
      """
      CREATE TABLE IF NOT EXISTS accesses (
        time TIMESTAMP_NS, binding SYMBOL NOCACHE, resource LONG, access BYTE, cause BYTE, waited BOOLEAN,
        size INT, latency LONG, run LONG
      ) TIMESTAMP(time) PARTITION BY HOUR BYPASS WAL\
      """;

  private static final int ROW_BYTES = 43;

  /// Rows that are committed.
  long rows() {
    return writer.size();
  }

  /// Adds the hours that have committed rows, by their begin.
  void addHours(Set<Long> hours) {
    for (int i = 0; i < writer.getPartitionCount(); i++) {
      // The newest may be split.
      hours.add(Usage.hourOf(writer.getPartitionTimestamp(i)));
    }
  }

  /// Whether only the newest part is left.
  boolean isLast() {
    return writer.getPartitionCount() <= 1;
  }

  /// When the oldest hour begins, or the oldest part of it that is left. There must be one.
  long oldestNanos() {
    return writer.getPartitionTimestamp(0);
  }

  /// Drops the oldest hour or part of it, which is not the only one.
  ///
  /// @return whether it is gone
  boolean removeOldest() {
    return writer.removePartition(writer.getPartitionTimestamp(0));
  }

  /// What the hours take on disk. The newest is written to and its files are longer than what they
  /// hold, so it counts by its rows.
  long sizeBytes() {
    int newest = writer.getPartitionCount() - 1;
    if (newest < 0) {
      return 0;
    }
    long rowsBefore = writer.size() - writer.getPartitionSize(newest);
    String last = "";
    long all = 0;
    long ofLast = 0;
    try (Stream<Path> entries = Files.list(files)) {
      for (Path entry : entries.sorted().toList()) {
        String name = String.valueOf(entry.getFileName());
        if (!Character.isDigit(name.charAt(0)) || !Files.isDirectory(entry)) {
          continue;
        }
        long bytes = 0;
        try (Stream<Path> columns = Files.list(entry)) {
          for (Path file : columns.toList()) {
            bytes += Files.size(file);
          }
        }
        all += bytes;
        last = name;
        ofLast = bytes;
      }
    } catch (IOException | UncheckedIOException e) {
      // Counted again in a minute.
      System.getLogger(AccessTable.class.getName())
          .log(System.Logger.Level.DEBUG, "while measuring the history", e);
    }
    long others = last.isEmpty() ? 0 : all - ofLast;
    double perRow = rowsBefore == 0 ? ROW_BYTES : (double) others / rowsBefore;
    return others + (long) (perRow * writer.getPartitionSize(newest));
  }
}
