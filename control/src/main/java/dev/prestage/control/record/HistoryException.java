package dev.prestage.control.record;

import org.jspecify.annotations.Nullable;

/// The history cannot be opened, written or asked. The message is the operator's: one line with
/// what is wrong, where, and what to do.
public final class HistoryException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final boolean damage;

  public HistoryException(String message, @Nullable Throwable cause) {
    this(message, cause, false);
  }

  HistoryException(String message, @Nullable Throwable cause, boolean damage) {
    super(message, cause);
    this.damage = damage;
  }

  /// Whether what is in the folder is the reason, so that it will be as wrong the next time.
  boolean isDamage() {
    return damage;
  }
}
