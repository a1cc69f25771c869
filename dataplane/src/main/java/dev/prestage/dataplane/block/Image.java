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

  /// What the open file's identity is now; blocks for as long as the origin takes. For an origin
  /// whose images cannot change, what it was when it was opened.
  default Identity currentIdentity() throws IOException {
    return identity();
  }

  /// What tells one version of an image from another without reading it, taken from one open file.
  /// docs/adr/2026-11-26-what-an-image-is.md has the reasoning.
  ///
  /// @param sizeBytes its size
  /// @param modifiedNanos when its content was last written, nanoseconds since the epoch
  /// @param changedNanos when its content or anything else about it last changed; 0 if unknown
  /// @param inode its number in its file system; 0 if unknown
  record Identity(long sizeBytes, long modifiedNanos, long changedNanos, long inode) {
    /// How this one stands to an earlier one of the same name.
    public Likeness to(Identity earlier) {
      if (sizeBytes != earlier.sizeBytes || modifiedNanos != earlier.modifiedNanos) {
        return Likeness.CHANGED;
      }
      if (inode != 0 && earlier.inode != 0 && inode != earlier.inode) {
        return Likeness.REPLACED;
      }
      boolean known = changedNanos != 0 && earlier.changedNanos != 0;
      return known && changedNanos == earlier.changedNanos ? Likeness.SAME : Likeness.TOUCHED;
    }
  }

  /// What two identities say about the bytes behind them.
  enum Likeness {
    /// The same bytes.
    SAME,
    /// The same file, whose permissions, links or times were changed, or whose bytes were and its
    /// time of writing was put back: the bytes must be compared.
    TOUCHED,
    /// Another file of the same size and time, as reproducible builds and copies with times make
    /// them.
    REPLACED,
    /// Other bytes.
    CHANGED
  }
}
