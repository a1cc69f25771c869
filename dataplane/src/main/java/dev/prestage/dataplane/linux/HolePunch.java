package dev.prestage.dataplane.linux;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.Path;

/// Gives ranges of one file back to the file system: they read as zeros afterwards and occupy
/// nothing (`fallocate(2)` with `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`).
///
/// A `FileChannel` hides its descriptor, so this opens the file once more.
public final class HolePunch implements AutoCloseable {
  private static final Logger LOG = System.getLogger(HolePunch.class.getName());

  private static final int KEEP_SIZE = 1;
  private static final int PUNCH_HOLE = 2;

  private final Path file;
  private final int descriptor;
  private boolean unavailable;
  private boolean closed;

  private HolePunch(Path file, int descriptor) {
    this.file = file;
    this.descriptor = descriptor;
    this.unavailable = descriptor < 0;
  }

  /// Prepares for a file that exists. Where the system has no such call, [#punch] does nothing.
  ///
  /// @throws IOException if the file cannot be opened for writing
  public static HolePunch open(Path file) throws IOException {
    if (Calls.INSTANCE.isEmpty()) {
      LOG.log(
          Level.WARNING,
          "this system has no fallocate: evicted extents of {0} keep their disk space",
          file);
      return new HolePunch(file, -1);
    }
    int descriptor = Calls.INSTANCE.get().open(file.toString(), Calls.O_RDWR | Calls.O_CLOEXEC);
    if (descriptor < 0) {
      throw new IOException("cannot open " + file + ": errno " + -descriptor);
    }
    return new HolePunch(file, descriptor);
  }

  /// Gives a range back. Says once, and is quiet from then on, if the file system cannot do it.
  public synchronized void punch(long offset, long lengthBytes) {
    if (unavailable || Calls.INSTANCE.isEmpty()) {
      return;
    }
    int error =
        Calls.INSTANCE.get().fallocate(descriptor, PUNCH_HOLE | KEEP_SIZE, offset, lengthBytes);
    if (error != 0) {
      unavailable = true;
      LOG.log(
          Level.WARNING,
          "evicted extents of {0} keep their disk space: its file system cannot punch holes"
              + " (errno {1}); ext4, xfs, btrfs and tmpfs can",
          file,
          error);
    }
  }

  @Override
  public synchronized void close() {
    if (descriptor >= 0 && Calls.INSTANCE.isPresent() && !closed) {
      closed = true;
      unavailable = true;
      Calls.INSTANCE.get().close(descriptor);
    }
  }
}
