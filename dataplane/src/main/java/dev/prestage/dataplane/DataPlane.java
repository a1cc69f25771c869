package dev.prestage.dataplane;

import dev.prestage.dataplane.block.AccessRing;
import dev.prestage.dataplane.block.BlockSpace;
import dev.prestage.dataplane.block.BlockStager;
import dev.prestage.dataplane.block.DirectoryOrigin;
import dev.prestage.dataplane.block.Disk;
import dev.prestage.dataplane.block.Doorbell;
import dev.prestage.dataplane.block.FaultyOrigin;
import dev.prestage.dataplane.block.FileStorage;
import dev.prestage.dataplane.block.Origin;
import dev.prestage.dataplane.block.Tier;
import dev.prestage.dataplane.nbd.NbdServer;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.Frame;
import dev.prestage.link.host.StateLock;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// One running data plane. Its parts are wired here and nowhere else:
///
/// ```
///   NbdServer ─▶ Disk ─▶ Tier ◀── BlockStager ◀── Origins
///                 │                   ▲
///                 ▼                   │ leases
///             AccessRing ──▶ LinkServer ◀──▶ control plane
/// ```
public final class DataPlane implements AutoCloseable {
  private static final Logger LOG = System.getLogger(DataPlane.class.getName());

  private final Troubles troubles;
  private final Doorbell doorbell = new Doorbell();
  private final AccessRing ring = new AccessRing(AccessRing.DEFAULT_SLOTS, doorbell);
  private final AttachedDisks disks;
  private final Tier tier;
  private final BlockStager stager;
  private final NbdServer nbd;
  private final LinkServer link;
  private final @Nullable InetSocketAddress nbdAddress;
  private final Deque<AutoCloseable> parts = new ArrayDeque<>();

  /// Starts a data plane. When this returns, the VMs that were attached when the last one ended can
  /// be read, as far as their origins answered within two seconds; the others are tried again.
  ///
  /// @throws IOException with one line that says what is wrong and what to do; nothing runs then
  public static DataPlane start(Options options, Clock clock) throws IOException {
    return new DataPlane(options, clock);
  }

  private DataPlane(Options options, Clock clock) throws IOException {
    this.troubles = new Troubles(clock);
    try {
      own(StateLock.take(options.stateDirectory(), "data-plane"));
      this.tier =
          new Tier(
              options.tier().name(),
              options.tier().capacityBytes(),
              new FileStorage(options.tier().directory()),
              clock,
              troubles);
      List<Origin> origins = new ArrayList<>();
      for (Options.OriginOptions origin : options.origins()) {
        origins.add(
            FaultyOrigin.of(
                new DirectoryOrigin(origin.name(), origin.directory(), origin.anyFormat()),
                origin.faults()));
      }
      this.stager = own(new BlockStager(origins, tier, options.block(), clock, troubles, doorbell));
      this.disks =
          own(
              new AttachedDisks(
                  new Attachments(options.stateDirectory()), stager, ring, clock, troubles));
      disks.restore();
      this.nbd = own(new NbdServer(disks, options.limits(), clock, troubles, options.nbdSocket()));
      this.nbdAddress = options.nbdAddress() == null ? null : nbd.listenOn(options.nbdAddress());
      this.link =
          own(
              new LinkServer(
                  options.linkSocket(), new LinkOrders(), stager, ring, doorbell, troubles, clock));
      disks.onChange(nbd::disconnect, space -> link.tellResident(space.id()));
      link.start();
    } catch (IOException | RuntimeException e) {
      closeParts(e);
      throw e;
    }
  }

  private <T extends AutoCloseable> T own(T part) {
    parts.push(part);
    return part;
  }

  /// Where disks are read over TCP, or null.
  public @Nullable InetSocketAddress nbdAddress() {
    return nbdAddress;
  }

  /// The counters and levels of this moment, as the control plane gets them.
  public Frame.Status status() {
    List<Frame.Counter> counters = new ArrayList<>();
    for (Disk disk : disks.all()) {
      counters.add(new Frame.Counter("demand_reads", disk.name(), disk.reads()));
      counters.add(new Frame.Counter("demand_waits", disk.name(), disk.waits()));
      counters.add(new Frame.Counter("demand_bytes", disk.name(), disk.bytes()));
      counters.add(new Frame.Counter("accesses_dropped", disk.name(), disk.dropped()));
      counters.add(new Frame.Counter("disk_connections", disk.name(), nbd.connections(disk)));
      counters.add(new Frame.Counter("disk_served", disk.name(), disk.isRefused() ? 0 : 1));
    }
    disks.waiting().forEach(vm -> counters.add(new Frame.Counter("disk_served", vm, 0)));
    stager.count((name, fetches, bytes, errors) -> {
      counters.add(new Frame.Counter("fetches", name, fetches));
      counters.add(new Frame.Counter("fetched_bytes", name, bytes));
      counters.add(new Frame.Counter("origin_errors", name, errors));
    });
    counters.add(new Frame.Counter("tier_used_bytes", tier.name(), tier.usedBytes()));
    counters.add(new Frame.Counter("tier_capacity_bytes", tier.name(), tier.capacityBytes()));
    counters.add(new Frame.Counter("tier_corrupt_extents", tier.name(), tier.corruptExtents()));
    counters.add(new Frame.Counter("connections", "", nbd.connections()));
    return new Frame.Status(counters);
  }

  /// Whether a control plane is connected.
  public boolean isControlled() {
    return link.isConnected();
  }

  /// What the control plane can have done.
  private final class LinkOrders implements LinkServer.Orders {
    @Override
    public long attach(Frame.Bind bind) throws IOException {
      return disks.attach(bind);
    }

    @Override
    public long purge(String tenant, String image) throws IOException {
      return tier.purge(tenant, image);
    }

    @Override
    public void detach(int vm) throws IOException {
      disks.detach(vm);
    }

    @Override
    public void keepOnly(Set<String> vmNames) throws IOException {
      disks.keepOnly(vmNames);
    }

    @Override
    public Set<Integer> spaces() {
      return disks.all().stream().map(disk -> disk.space().id()).collect(Collectors.toSet());
    }

    @Override
    public Frame.Resident resident(int id) {
      BlockSpace space = stager.space(id);
      return new Frame.Resident(id, space == null ? new BitSet() : space.resident());
    }

    @Override
    public Frame.Status status() {
      return DataPlane.this.status();
    }
  }

  /// Stops serving. The tier keeps what it has for the next start.
  @Override
  public void close() throws IOException {
    var failure = new IOException("the data plane did not stop cleanly");
    closeParts(failure);
    if (failure.getSuppressed().length > 0) {
      throw failure;
    }
  }

  private void closeParts(Exception collector) {
    while (!parts.isEmpty()) {
      try {
        parts.pop().close();
      } catch (Exception e) {
        LOG.log(Level.WARNING, "stopping: {0}", e.getMessage());
        collector.addSuppressed(e);
      }
    }
  }
}
