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

/// The data plane's process, wired.
public final class DataPlaneProcess {
  private DataPlaneProcess() {}

  /// Opens the plane; closing it ends it.
  public static AutoCloseable open(Configuration configuration)
      throws IOException, InterruptedException {
    StateLock.awaitFree(configuration.state(), "data-plane");
    DataPlane plane = DataPlane.start(options(configuration), new HostClock());
    try {
      PrivateFolders.openToGroup(configuration);
    } catch (IOException e) {
      plane.close();
      throw e;
    }
    return plane;
  }

  private static Options options(Configuration configuration) throws IOException {
    Configuration.Fetch fetch = configuration.fetch();
    return new Options(
        configuration.state(),
        configuration.linkSocket(),
        configuration.nbdSocket(),
        ControlPlaneProcess.address("nbd.tcp", configuration.nbd().tcp()),
        configuration.origins().stream()
            .map(o ->
                new OriginOptions(
                    o.name(), o.directory(), o.faults(), o.anyFormat(), o.bytesPerSecond()))
            .toList(),
        configuration.tiers().stream()
            .map(t ->
                new TierOptions(t.name(), t.directory(), t.capacityBytes(), t.kind(), t.faults()))
            .toList(),
        new BlockOptions(
            fetch.inFlight(),
            BlockOptions.DEFAULT.demandFetches(),
            fetch.deadline(),
            fetch.deadline().dividedBy(3),
            configuration.fill(),
            configuration.evictLast()),
        NbdLimits.of(configuration.nbd().connections(), fetch.deadline()),
        configuration.connectionsListen(),
        configuration.promises());
  }
}
