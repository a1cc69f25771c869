package dev.prestage.dataplane;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayDeque;
import java.util.Deque;

/// What somebody has opened and closes in the opposite order, each whatever becomes of the others.
final class Parts implements AutoCloseable {
  private static final Logger LOG = System.getLogger(Parts.class.getName());

  private final Deque<AutoCloseable> parts = new ArrayDeque<>();

  <T extends AutoCloseable> T own(T part) {
    parts.push(part);
    return part;
  }

  /// Closes all after a failure, which learns of further ones.
  void closeAfter(Exception failure) {
    while (!parts.isEmpty()) {
      try {
        parts.pop().close();
      } catch (Exception e) {
        LOG.log(Level.WARNING, "stopping: {0}", e.getMessage());
        failure.addSuppressed(e);
      }
    }
  }

  @Override
  public void close() throws IOException {
    var failure = new IOException("the data plane did not stop cleanly");
    closeAfter(failure);
    if (failure.getSuppressed().length > 0) {
      throw failure;
    }
  }
}
