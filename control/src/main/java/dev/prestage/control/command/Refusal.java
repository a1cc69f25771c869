package dev.prestage.control.command;

/// A request that was not met. Its message is the user's: one line with what is wrong and what to
/// do.
public final class Refusal extends Exception {
  private static final long serialVersionUID = 1;

  /// Why, by kind: front ends translate it to their own codes.
  public enum Reason {
    /// The request itself is wrong.
    INVALID,
    /// What it names does not exist.
    UNKNOWN,
    /// It contradicts what is there.
    CONFLICT,
    /// A part that it needs does not work now.
    UNAVAILABLE
  }

  private final Reason reason;

  public Refusal(Reason reason, String message) {
    super(message);
    this.reason = reason;
  }

  public Reason reason() {
    return reason;
  }
}
