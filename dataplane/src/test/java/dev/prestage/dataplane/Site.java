package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.bandwidth.Promises;
import dev.prestage.dataplane.block.BlockOptions;
import dev.prestage.dataplane.nbd.NbdClient;
import dev.prestage.dataplane.nbd.NbdLimits;
import dev.prestage.engine.fault.Faults;
import dev.prestage.link.Frame;
import dev.prestage.link.host.HostClock;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/// A host for tests: a directory with an origin, a tier and a state directory, on which data planes
/// are started one after the other.
final class Site {
  static final int MIB = 1 << 20;

  final Path directory;
  Faults faults = Faults.NONE;

  /// What the link to `nas` moves, in bytes per second; 0 to measure.
  long bandwidth;

  long capacityBytes = 1L << 30;
  BlockOptions block = BlockOptions.DEFAULT;
  NbdLimits limits = NbdLimits.DEFAULT;
  InetAddress connectionsAddress = Options.LOOPBACK;
  @Nullable Path tierDirectory;

  /// Several tiers instead of the one.
  List<Options.TierOptions> tiers = List.of();

  /// Origins that are asked after `nas`.
  List<Options.OriginOptions> moreOrigins = List.of();

  Site(Path directory) throws IOException {
    this.directory = directory;
    Files.createDirectories(origin());
  }

  Path origin() {
    return directory.resolve("origin");
  }

  Path tier() {
    return tierDirectory == null ? directory.resolve("tier") : tierDirectory;
  }

  Path state() {
    return directory.resolve("state");
  }

  Path nbdSocket() {
    return directory.resolve("nbd.sock");
  }

  Path linkSocket() {
    return directory.resolve("link.sock");
  }

  /// The NBD URI of a VM's disk.
  String uri(String vm) {
    return "nbd+unix:///" + vm + "?socket=" + nbdSocket();
  }

  Options options() throws IOException {
    List<Options.OriginOptions> origins = new ArrayList<>();
    origins.add(new Options.OriginOptions("nas", origin(), faults, false, bandwidth));
    origins.addAll(moreOrigins);
    return new Options(
        state(),
        linkSocket(),
        nbdSocket(),
        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
        origins,
        tiers.isEmpty()
            ? List.of(new Options.TierOptions("ssd", tier(), capacityBytes, "ssd"))
            : tiers,
        block,
        limits,
        connectionsAddress,
        Promises.RUNS);
  }

  DataPlane start() throws IOException {
    return DataPlane.start(options(), new HostClock());
  }

  ControlPlane control() throws IOException {
    return new ControlPlane(linkSocket());
  }

  NbdClient client(String vm) throws IOException {
    return NbdClient.connect(UnixDomainSocketAddress.of(nbdSocket()), vm);
  }

  /// Puts an image of random bytes at the origin and returns them.
  byte[] image(String name, int bytes, long seed) throws IOException {
    byte[] content = new byte[bytes];
    new SplittableRandom(seed).nextBytes(content);
    Files.write(origin().resolve(name), content);
    return content;
  }

  /// Limits of which a VM may have half the memory, and whose reads may wait for a minute.
  static NbdLimits limits(int connections, int requests, long bytesInAll, Duration patience) {
    return new NbdLimits(
        connections,
        requests,
        64L << 20,
        bytesInAll / 2,
        bytesInAll,
        NbdLimits.DEFAULT.leastBytesPerSecond(),
        patience,
        Duration.ofMinutes(1));
  }

  /// Waits for a condition.
  static void await(BooleanSupplier condition, String what) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as(what).isLessThan(deadline);
      LockSupport.parkNanos(1_000_000);
    }
  }

  /// A counter's value.
  static long counter(DataPlane plane, String name, String label) {
    return plane.status().counters().stream()
        .filter(c -> c.name().equals(name) && c.label().equals(label))
        .mapToLong(Frame.Counter::value)
        .findFirst()
        .orElseThrow();
  }
}
