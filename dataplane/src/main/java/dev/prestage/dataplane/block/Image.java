package dev.prestage.dataplane.block;

import java.io.IOException;
import java.nio.ByteBuffer;

/// One image at its origin, open for reading. Any number of threads may read at the same time.
public interface Image extends AutoCloseable {
  /// The name at the origin.
  String name();

  /// Which bytes these are. Copies on this host are good for as long as it stays the same.
  Identity identity();

  /// Fills the buffer from `offset` on; blocks for as long as the origin takes.
  ///
  /// @throws IOException if not all of it could be had; the buffer's content means nothing then
  void read(long offset, ByteBuffer into) throws IOException;

  @Override
  void close() throws IOException;

  /// What tells one version of an image from another without reading it. An image that is changed
  /// in place with its time and size restored is not noticed; whoever does that discards the tier.
  ///
  /// @param sizeBytes its size
  /// @param modifiedNanos when it was last written, nanoseconds since the epoch
  record Identity(long sizeBytes, long modifiedNanos) {}
}
