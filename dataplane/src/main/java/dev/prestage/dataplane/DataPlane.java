package dev.prestage.dataplane;

import dev.prestage.dataplane.Attachments.Attachment;
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
import dev.prestage.dataplane.nbd.Exports;
import dev.prestage.dataplane.nbd.NbdServer;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.Frame;
import dev.prestage.link.host.IoProblem;
import dev.prestage.link.host.StateLock;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
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

  private final Clock clock;
  private final Troubles troubles;
  private final Doorbell doorbell = new Doorbell();
  private final AccessRing ring = new AccessRing(AccessRing.DEFAULT_SLOTS, doorbell);
  private final Attachments attachments;
  private final Tier tier;
  private final BlockStager stager;
  private final NbdServer nbd;
  private final LinkServer link;
  private final @Nullable InetSocketAddress nbdAddress;
  private final Deque<AutoCloseable> parts = new ArrayDeque<>();

  // Changes to both maps are made under this lock; disks are looked up without it.
  private final ReentrantLock registry = new ReentrantLock();
  private final Map<String, Attachment> wanted = new LinkedHashMap<>();
  private final SortedMap<String, Disk> disks = new ConcurrentSkipListMap<>();

  /// Starts a data plane. When this returns, the VMs that were attached when the last one ended can
  /// be read.
  ///
  /// @throws IOException with one line that says what is wrong and what to do; nothing runs then
  public static DataPlane start(Options options, Clock clock) throws IOException {
    return new DataPlane(options, clock);
  }

  private DataPlane(Options options, Clock clock) throws IOException {
    this.clock = clock;
    this.troubles = new Troubles(clock);
    this.attachments = new Attachments(options.stateDirectory());
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
                new DirectoryOrigin(origin.name(), origin.directory()), origin.faults()));
      }
      this.stager = own(new BlockStager(origins, tier, options.block(), clock, troubles, doorbell));
      restore();
      this.nbd =
          own(
              new NbdServer(
                  new Attached(), options.limits(), clock, troubles, options.nbdSocket()));
      this.nbdAddress = options.nbdAddress() == null ? null : nbd.listenOn(options.nbdAddress());
      this.link =
          own(
              new LinkServer(
                  options.linkSocket(), new LinkOrders(), stager, ring, doorbell, troubles, clock));
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
    for (Disk disk : disks.values()) {
      counters.add(new Frame.Counter("demand_reads", disk.name(), disk.reads()));
      counters.add(new Frame.Counter("demand_waits", disk.name(), disk.waits()));
      counters.add(new Frame.Counter("demand_bytes", disk.name(), disk.bytes()));
      counters.add(new Frame.Counter("accesses_dropped", disk.name(), disk.dropped()));
    }
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

  // ---- attachments

  private void restore() throws IOException {
    for (Attachment attachment : attachments.load()) {
      wanted.put(attachment.vmName(), attachment);
      try {
        open(attachment);
      } catch (IOException e) {
        troubles.report(
            "attach", "VM '" + attachment.vmName() + "' cannot be served: " + IoProblem.explain(e));
      }
    }
  }

  /// Opens a VM's disk in place of the one that it may have had; if that fails nothing changes.
  private Disk open(Attachment attachment) throws IOException {
    BlockSpace space = stager.attach(attachment.space(), attachment.tenant(), attachment.image());
    close(attachment.vmName());
    var disk = new Disk(attachment.vm(), attachment.vmName(), space, stager, ring, clock);
    disks.put(disk.name(), disk);
    return disk;
  }

  private void close(String vmName) {
    Disk disk = disks.remove(vmName);
    if (disk != null) {
      nbd.disconnect(disk);
      stager.detach(disk.space(), disk.vm());
    }
  }

  /// What NBD clients can choose from.
  private final class Attached implements Exports {
    @Override
    public @Nullable Disk find(String name) {
      return disks.get(name);
    }

    @Override
    public List<String> names() {
      return List.copyOf(disks.keySet());
    }
  }

  /// What the control plane can have done.
  private final class LinkOrders implements LinkServer.Orders {
    @Override
    public long attach(Frame.Attach attach) throws IOException {
      var attachment =
          new Attachment(
              attach.vm(), attach.vmName(), attach.space(), attach.tenant(), attach.image());
      registry.lock();
      try {
        Disk disk = disks.get(attach.vmName());
        if (disk != null && isSame(disk.space(), attachment)) {
          disk.renumber(attachment.vm());
          stager.renumber(disk.space(), attachment.space());
        } else {
          disk = open(attachment);
        }
        remember(attachment);
        return disk.sizeBytes();
      } finally {
        registry.unlock();
      }
    }

    /// Who is told that it did not work must not find it half done.
    private void remember(Attachment attachment) throws IOException {
      Attachment before = wanted.put(attachment.vmName(), attachment);
      if (attachment.equals(before)) {
        return;
      }
      try {
        attachments.save(wanted.values());
      } catch (IOException e) {
        if (before == null) {
          wanted.remove(attachment.vmName());
          close(attachment.vmName());
        } else {
          wanted.put(attachment.vmName(), before);
        }
        throw IoProblem.in("VM '" + attachment.vmName() + "' cannot be remembered", e);
      }
    }

    private boolean isSame(BlockSpace space, Attachment attachment) {
      return space.tenant().equals(attachment.tenant())
          && space.imageName().equals(attachment.image());
    }

    @Override
    public void detach(int vm) throws IOException {
      keep(attachment -> attachment.vm() != vm);
    }

    @Override
    public void keepOnly(Set<String> vmNames) throws IOException {
      keep(attachment -> vmNames.contains(attachment.vmName()));
    }

    private void keep(Predicate<Attachment> condition) throws IOException {
      registry.lock();
      try {
        List<Attachment> gone = wanted.values().stream().filter(a -> !condition.test(a)).toList();
        for (Attachment attachment : gone) {
          close(attachment.vmName());
          wanted.remove(attachment.vmName());
        }
        if (!gone.isEmpty()) {
          attachments.save(wanted.values());
        }
      } finally {
        registry.unlock();
      }
    }

    @Override
    public Set<Integer> spaces() {
      return disks.values().stream().map(disk -> disk.space().id()).collect(Collectors.toSet());
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
