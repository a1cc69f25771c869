package dev.prestage.control.aggregate;

import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;

/// Which accesses are touches, and by whom of what.
final class Touches {
  private Touches() {}

  /// Whether a guest asked for something: not what was fetched ahead, scrubbed or given back.
  static boolean isTouch(AccessHistory.Row row) {
    return row.cause() == Cause.DEMAND && row.access() != AccessType.RELEASE;
  }
}
