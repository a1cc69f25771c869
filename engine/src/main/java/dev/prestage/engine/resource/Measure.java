package dev.prestage.engine.resource;

import java.util.Locale;

/// What the amount of a resource is counted in.
public enum Measure {
  /// Content: blocks of disks and files, pages of memory.
  BYTES,
  /// Connections in use at once.
  CONNECTIONS,
  /// A rate.
  BYTES_PER_SECOND;

  /// The name in the API: `bytes`, `connections` and so on.
  public String text() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
