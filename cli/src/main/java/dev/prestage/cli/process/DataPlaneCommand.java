package dev.prestage.cli.process;

import dev.prestage.cli.config.Configuration;
import dev.prestage.dataplane.DataPlane;
import dev.prestage.dataplane.Options;
import dev.prestage.dataplane.Options.OriginOptions;
import dev.prestage.dataplane.Options.TierOptions;
import dev.prestage.dataplane.block.BlockOptions;
import dev.prestage.dataplane.nbd.NbdLimits;
import dev.prestage.link.host.HostClock;
import dev.prestage.link.host.StateLock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// The data plane's process, wired.
@Command(name = "data-plane", hidden = true, description = "One plane; started by run.")
public final class DataPlaneCommand implements Callable<Integer> {
  @Option(names = "--config")
  private @Nullable Path configuration;

  @Override
  public Integer call() throws Exception {
    Configuration checked = Configuration.read(configuration);
    return PlaneProcess.run("data plane", () -> open(checked));
  }

  private static AutoCloseable open(Configuration configuration)
      throws IOException, InterruptedException {
    Configuration.Tier tier = configuration.tier();
    Configuration.Fetch fetch = configuration.fetch();
    Files.createDirectories(configuration.sockets());
    StateLock.awaitFree(configuration.state(), "data-plane");
    return DataPlane.start(
        new Options(
            configuration.state(),
            configuration.linkSocket(),
            configuration.nbdSocket(),
            ControlPlaneCommand.address(configuration.nbdTcp()),
            configuration.origins().stream()
                .map(o -> new OriginOptions(o.name(), o.directory(), o.faults()))
                .toList(),
            new TierOptions(tier.name(), tier.directory(), tier.capacityBytes(), tier.kind()),
            new BlockOptions(
                fetch.inFlight(),
                BlockOptions.DEFAULT.demandFetches(),
                fetch.deadline(),
                fetch.deadline().dividedBy(3)),
            NbdLimits.DEFAULT),
        new HostClock());
  }
}
