package dev.prestage.control.record;

import org.jspecify.annotations.Nullable;

/// The history cannot be opened, written or asked. The message is the operator's: one line with
/// what is wrong, where, and what to do.
public final class HistoryException extends RuntimeException {
  private static final long serialVersionUID = 1;

  public HistoryException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
