package dev.prestage.simulator.trace;

import java.io.IOException;

/// A trace file that cannot be used. The message is one line for the user: the file, the line or
/// record where there is one, what is wrong and what was expected.
public final class TraceException extends IOException {
  private static final long serialVersionUID = 1;

  public TraceException(String message) {
    super(message);
  }
}
