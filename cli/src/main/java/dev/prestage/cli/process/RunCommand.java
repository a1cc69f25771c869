package dev.prestage.cli.process;

import dev.prestage.cli.config.Configuration;
import dev.prestage.cli.config.ConfigurationException;
import dev.prestage.link.host.StateLock;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// `prestage run`: both planes, supervised.
@Command(
    name = "run",
    mixinStandardHelpOptions = true,
    description = "Serve and stage on this host until stopped.")
public final class RunCommand implements java.util.concurrent.Callable<Integer> {
  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "The configuration file (YAML). Default: none, everything as by default.")
  private @Nullable Path configuration;

  @Override
  public Integer call() throws ConfigurationException, InterruptedException, IOException {
    Configuration checked = Configuration.read(configuration);
    StateLock lock;
    try {
      ControlPlaneProcess.address("nbd.tcp", checked.nbd().tcp());
      ControlPlaneProcess.address("api.tcp", checked.apiTcp());
      PrivateFolders.prepare(checked);
      lock = StateLock.take(checked.state(), "prestage");
    } catch (IOException e) {
      System.err.println("prestage cannot start: " + e.getMessage());
      return Supervisor.CANNOT_START;
    }
    try (lock) {
      return run(checked);
    }
  }

  private int run(Configuration checked) throws InterruptedException, IOException {
    System.err.printf(
        "prestage: starting; disks will be served on %s, the API on %s%n",
        checked.nbdSocket(), checked.apiSocket());
    return new Supervisor(
            configuration,
            emptied(checked.state().resolve("tmp")),
            checked.tierBytes(),
            checked.nbd().connections(),
            checked.apiSocket())
        .run();
  }

  /// The database unpacks its library into the folder for temporary files; what a killed plane left
  /// there goes.
  private static Path emptied(Path folder) throws IOException {
    Files.createDirectories(folder, PrivateFolders.OWNER_ONLY);
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
      for (Path file : files) {
        if (Files.isRegularFile(file)) {
          Files.deleteIfExists(file);
        }
      }
    }
    return folder;
  }
}
