package dev.prestage.engine.access;

/// What an access did. An edge states what it can see and never guesses the rest.
public enum AccessType {
  READ,
  WRITE,
  EXECUTE,

  /// A level was given up again: it is no touch, and begins no run.
  RELEASE,

  UNKNOWN
}
