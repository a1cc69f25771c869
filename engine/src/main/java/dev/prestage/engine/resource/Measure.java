package dev.prestage.engine.resource;

/// What the amount of a resource is counted in.
public enum Measure {
  /// Content: blocks of disks and files, pages of memory.
  BYTES,
  /// Connections in use at once.
  CONNECTIONS,
  /// A rate.
  BYTES_PER_SECOND
}
