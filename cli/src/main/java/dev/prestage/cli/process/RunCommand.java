package dev.prestage.cli.process;

import dev.prestage.cli.config.Configuration;
import dev.prestage.cli.config.ConfigurationException;
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
  public Integer call() throws ConfigurationException, InterruptedException {
    Configuration checked = Configuration.read(configuration);
    System.err.printf(
        "prestage: serving disks on %s, the API on %s%n", checked.nbdSocket(), checked.apiSocket());
    return new Supervisor(configuration).run();
  }
}
