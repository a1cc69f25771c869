package dev.prestage.cli.process;

import dev.prestage.cli.config.Configuration;
import dev.prestage.cli.config.ConfigurationException;
import dev.prestage.link.host.StateLock;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// `prestage run`: both planes, supervised.
@Command(name = "run", description = "Serve and stage on this host until stopped.")
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
      lock = StateLock.take(checked.state(), "prestage");
    } catch (IOException e) {
      System.err.println("prestage cannot start: " + e.getMessage());
      return Supervisor.CANNOT_START;
    }
    try (lock) {
      return run(checked);
    }
  }

  private int run(Configuration checked) throws InterruptedException {
    System.err.printf(
        "prestage: serving disks on %s, the API on %s%n", checked.nbdSocket(), checked.apiSocket());
    return new Supervisor(configuration, checked.tier().capacityBytes()).run();
  }
}
