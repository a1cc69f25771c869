package dev.prestage.cli.process;

import static java.lang.System.Logger.Level.ERROR;

import dev.prestage.cli.config.Configuration;
import dev.prestage.cli.config.ConfigurationException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// What both planes' processes have in common: they run until their standard input ends, and say in
/// one line why they cannot start.
public final class PlaneProcess {
  private static final System.Logger LOG = System.getLogger(PlaneProcess.class.getName());

  static final String DATA = "data-plane";
  static final String CONTROL = "control-plane";

  private PlaneProcess() {}

  /// Opens a plane.
  interface Opener {
    AutoCloseable open(Configuration configuration) throws IOException, InterruptedException;
  }

  /// The whole of a plane's process. It does without the command's library, which takes longer to
  /// start than a plane.
  ///
  /// @param args [#DATA] or [#CONTROL], then the configuration file if there is one
  public static void main(String[] args) throws Exception {
    JvmSettings.apply();
    Path configuration = args.length < 2 ? null : Path.of(args[1]);
    System.exit(
        switch (args[0]) {
          case DATA -> run(DATA, configuration, DataPlaneProcess::open);
          case CONTROL -> run(CONTROL, configuration, ControlPlaneProcess::open);
          default -> throw new IllegalArgumentException("there is no " + args[0]);
        });
  }

  /// Runs a plane until the supervisor is gone.
  ///
  /// @return the exit code
  private static int run(String name, @Nullable Path configuration, Opener opener)
      throws Exception {
    AutoCloseable plane;
    try {
      plane = opener.open(Configuration.read(configuration));
    } catch (ConfigurationException | IOException e) {
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
