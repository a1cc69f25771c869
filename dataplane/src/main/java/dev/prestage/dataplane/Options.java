package dev.prestage.dataplane;

import dev.prestage.dataplane.bandwidth.Promises;
import dev.prestage.dataplane.block.BlockOptions;
import dev.prestage.dataplane.memory.MemoryEdge;
import dev.prestage.dataplane.nbd.NbdLimits;
import dev.prestage.engine.fault.Faults;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Everything that a data plane is told when it starts.
///
/// @param stateDirectory holds the lock and the attachments; one data plane at a time
/// @param linkSocket where the control plane connects; this user only
/// @param nbdSocket where disks are read; this user and the socket's group
/// @param nbdAddress where they are read over TCP, by anyone who can reach it, or null
/// @param origins where images come from; of those that have an image the first serves it
/// @param tiers where extents are kept, the fastest first; at least one
/// @param block how origins are worked
/// @param limits what NBD clients can make this process hold
/// @param connectionsAddress one of this host's own, where guests' connections are relayed, for
///   everyone who can reach it
/// @param promises by what shares of links are promised
public record Options(
    Path stateDirectory,
    Path linkSocket,
    Path nbdSocket,
    @Nullable InetSocketAddress nbdAddress,
    List<OriginOptions> origins,
    List<TierOptions> tiers,
    BlockOptions block,
    NbdLimits limits,
    InetAddress connectionsAddress,
    Promises promises) {

  /// Where connections are relayed unless it is told otherwise: for this host only.
  public static final InetAddress LOOPBACK = InetAddress.ofLiteral("127.0.0.1");

  public Options {
    origins = List.copyOf(origins);
    tiers = List.copyOf(tiers);
  }

  /// Options with the defaults of [BlockOptions] and [NbdLimits], and no TCP.
  public static Options of(
      Path stateDirectory,
      Path linkSocket,
      Path nbdSocket,
      List<OriginOptions> origins,
      TierOptions tier) {
    return new Options(
        stateDirectory,
        linkSocket,
        nbdSocket,
        null,
        origins,
        List.of(tier),
        BlockOptions.DEFAULT,
        NbdLimits.DEFAULT,
        LOOPBACK,
        Promises.RUNS);
  }

  /// Where VM managers hand over the memory of VMs.
  Path memorySockets() {
    return linkSocket.resolveSibling("memory");
  }

  /// Where snapshots are: beside the images.
  List<MemoryEdge.Folder> snapshots() {
    return origins.stream()
        .map(origin -> new MemoryEdge.Folder(origin.name(), origin.directory(), origin.faults()))
        .toList();
  }

  /// What the links to the origins move, in bytes per second; 0 to measure.
  Map<String, Long> links() {
    Map<String, Long> links = new LinkedHashMap<>();
    origins.forEach(origin -> links.put(origin.name(), origin.bytesPerSecond()));
    return links;
  }

  /// A directory of images.
  ///
  /// @param name in messages and counters; unique
  /// @param faults what its reads suffer, [Faults#NONE] in earnest
  /// @param anyFormat whether files in formats that are not raw are served, as the bytes they are
  /// @param bytesPerSecond what the link to it moves, shared out while a VM is bound to it; 0 to
  ///   measure
  public record OriginOptions(
      String name, Path directory, Faults faults, boolean anyFormat, long bytesPerSecond) {
    /// Of raw images, over a link that is measured.
    public OriginOptions(String name, Path directory, Faults faults) {
      this(name, directory, faults, false, 0);
    }
  }

  /// A directory for extents.
  ///
  /// @param name in messages and counters; unique
  /// @param capacityBytes how many bytes of extents it may hold; 0.1 % more goes into checksums
  /// @param kind what it lies on, one word such as `ssd`
  /// @param faults what its reads and writes suffer, [Faults#NONE] in earnest
  public record TierOptions(
      String name, Path directory, long capacityBytes, String kind, Faults faults) {
    /// Without faults.
    public TierOptions(String name, Path directory, long capacityBytes, String kind) {
      this(name, directory, capacityBytes, kind, Faults.NONE);
    }
  }
}
