package dev.prestage.engine.resource;

import java.util.Locale;

/// The four kinds of resource that a VM touches.
public enum ResourceType {
  /// A block of a disk or of a file on the host.
  FILE_BLOCK,
  /// A page of guest memory that comes from a snapshot.
  MEMORY_PAGE,
  /// A connection to an upstream endpoint.
  NETWORK_CONNECTION,
  /// Bytes and operations per window on a link or a disk.
  IO_BANDWIDTH;

  /// The name in history, in the API and in configuration: `file-block`, `memory-page` and so on.
  public String text() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /// The type that [#text] names.
  ///
  /// @throws IllegalArgumentException naming the accepted words
  public static ResourceType of(String text) {
    for (ResourceType type : values()) {
      if (type.text().equals(text)) {
        return type;
      }
    }
    throw new IllegalArgumentException(
        "unknown resource type '"
            + text
            + "'; one of file-block, memory-page, network-connection, io-bandwidth");
  }
}
