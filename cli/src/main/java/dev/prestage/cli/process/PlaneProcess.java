package dev.prestage.cli.process;

import static java.lang.System.Logger.Level.ERROR;

import java.io.IOException;
import java.io.InputStream;

/// What both planes' processes have in common: they run until their standard input ends, and say in
/// one line why they cannot start.
final class PlaneProcess {
  private static final System.Logger LOG = System.getLogger(PlaneProcess.class.getName());

  private PlaneProcess() {}

  /// Opens a plane.
  interface Opener {
    AutoCloseable open() throws IOException, InterruptedException;
  }

  /// Runs a plane until the supervisor is gone.
  ///
  /// @return the exit code
  static int run(String name, Opener opener) throws Exception {
    AutoCloseable plane;
    try {
      plane = opener.open();
    } catch (IOException e) {
      LOG.log(ERROR, "the {0} cannot start: {1}", name, e.getMessage());
      return Supervisor.CANNOT_START;
    }
    try (plane) {
      awaitEnd(System.in);
    }
    return 0;
  }

  private static void awaitEnd(InputStream in) throws IOException {
    byte[] ignored = new byte[256];
    while (in.read(ignored) >= 0) {
      // Whatever is said here means nothing; only its end does.
    }
  }
}
