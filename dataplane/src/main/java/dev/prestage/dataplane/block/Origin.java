package dev.prestage.dataplane.block;

import java.io.IOException;

/// Where images come from. Read-only; possibly far away, narrow or unreliable. Faults are
/// decorators over this interface ([FaultyOrigin]).
public interface Origin extends AutoCloseable {
  /// Its name in configuration, in messages and in counters.
  String name();

  /// Opens an image.
  ///
  /// @throws java.nio.file.NoSuchFileException if it is not there; the message says where this
  ///   origin looked and what is there
  /// @throws IOException if it cannot be read, or the name is not one of an image
  Image open(String image) throws IOException;

  /// Ends reads that would otherwise last for ever; they fail.
  @Override
  void close();
}
