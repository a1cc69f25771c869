package dev.prestage.engine.history;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.ResourceType;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The time-series database of accesses.
///
/// One thread appends; any thread may ask. What was appended is safe from a killed process once
/// [#commit] has returned.
public interface AccessHistory extends AutoCloseable {
  /// Adds one answered access through a binding of a VM.
  void append(Access access, Binding binding);

  /// Makes everything appended so far durable against the end of this process, and visible to
  /// queries.
  void commit();

  /// Time for what has no haste, such as dropping what is too old. The thread that appends calls it
  /// after a commit, about once a second.
  default void tend() {}

  /// The accesses that match, oldest first; of more than the limit, the newest.
  List<Row> find(Query query);

  /// Hands over the accesses that match, oldest first, until the visitor has enough. Those of one
  /// time come in the order in which they were appended. The history stays open until the visitor
  /// returns, so a visitor must not wait for anything.
  void scan(Selection selection, Visitor visitor);

  @Override
  void close();

  /// One access as it is stored: with names instead of this host's numbers.
  ///
  /// @param timeNanos nanoseconds since the epoch
  /// @param resource the index in its space
  /// @param latencyNanos from request to reply
  /// @param run the run of the program to which it belongs, or
  ///   [dev.prestage.engine.access.Access#NO_RUN]
  record Row(
      long timeNanos,
      String tenant,
      String program,
      String vm,
      ResourceType type,
      String space,
      long resource,
      AccessType access,
      int sizeBytes,
      Cause cause,
      boolean waited,
      long latencyNanos,
      long run) {}

  /// What to look for.
  ///
  /// @param program only this program's accesses, or all
  /// @param vm only this VM's accesses, or all
  /// @param fromNanos from this time on
  /// @param toNanos before this time
  /// @param limit at most this many rows
  record Query(
      @Nullable String program, @Nullable String vm, long fromNanos, long toNanos, int limit) {}

  /// Which accesses to look at.
  ///
  /// @param program only this program's, or all
  /// @param vm only this VM's, or all
  /// @param type only those of resources of this type, or all
  /// @param fromNanos from this time on
  /// @param toNanos before this time
  record Selection(
      @Nullable String program,
      @Nullable String vm,
      @Nullable ResourceType type,
      long fromNanos,
      long toNanos) {}

  /// Looks at accesses, one after the other.
  @FunctionalInterface
  interface Visitor {
    /// Looks at one access.
    ///
    /// @return whether to go on
    boolean visit(Row row);
  }
}
