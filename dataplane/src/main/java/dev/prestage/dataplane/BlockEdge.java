package dev.prestage.dataplane;

import dev.prestage.dataplane.bandwidth.Links;
import dev.prestage.dataplane.block.BlockSpace;
import dev.prestage.dataplane.block.BlockStager;
import dev.prestage.dataplane.block.DirectoryOrigin;
import dev.prestage.dataplane.block.Disk;
import dev.prestage.dataplane.block.FaultyOrigin;
import dev.prestage.dataplane.block.FaultyStorage;
import dev.prestage.dataplane.block.FileStorage;
import dev.prestage.dataplane.block.Moves;
import dev.prestage.dataplane.block.Origin;
import dev.prestage.dataplane.block.Passage;
import dev.prestage.dataplane.block.Storage;
import dev.prestage.dataplane.block.Tier;
import dev.prestage.dataplane.block.Tiers;
import dev.prestage.dataplane.edge.Bound;
import dev.prestage.dataplane.edge.Edge;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.dataplane.nbd.NbdServer;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.stage.Stager;
import dev.prestage.link.Frame;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntConsumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// Disks of VMs, read over NBD. Its parts are wired here and nowhere else:
///
/// ```
///   NbdServer ─▶ Disk ─▶ Tiers ◀── BlockStager ◀── Origins
///                 │                   ▲
///                 ▼                   │
///             AccessRing            leases
/// ```
final class BlockEdge implements Edge {
  private static final Logger LOG = System.getLogger(BlockEdge.class.getName());

  private final Parts parts = new Parts();
  private final AttachedDisks disks;
  private final Tiers tiers;
  private final BlockStager stager;
  private final NbdServer nbd;
  private final IntConsumer ready;
  private final @Nullable InetSocketAddress nbdAddress;

  BlockEdge(Options options, Links links, Host host) throws IOException {
    this.ready = host.ready();
    try {
      this.tiers = open(options, host);
      List<Origin> origins = new ArrayList<>();
      for (Options.OriginOptions origin : options.origins()) {
        // A share that hangs would hang this, and must not hang the start.
        Thread.ofPlatform().daemon().name("look-for-" + origin.name()).start(() -> look(origin));
        origins.add(
            FaultyOrigin.of(
                new DirectoryOrigin(origin.name(), origin.directory(), origin.anyFormat()),
                origin.faults()));
      }
      this.stager =
          parts.own(
              new BlockStager(
                  origins,
                  links,
                  tiers,
                  options.block(),
                  host.clock(),
                  host.trouble(),
                  host.doorbell()));
      this.disks =
          parts.own(
              new AttachedDisks(
                  new Attachments(options.stateDirectory()),
                  stager,
                  host.ring(),
                  host.clock(),
                  host.trouble()));
      disks.restore();
      this.nbd =
          parts.own(
              new NbdServer(
                  disks, options.limits(), host.clock(), host.trouble(), options.nbdSocket()));
      this.nbdAddress = options.nbdAddress() == null ? null : nbd.listenOn(options.nbdAddress());
      disks.onChange(nbd::disconnect, space -> host.ready().accept(space.id()));
    } catch (IOException | RuntimeException e) {
      parts.closeAfter(e);
      throw e;
    }
  }

  /// Opens the tiers. One of several that cannot be used is said and left out until the next start.
  private static Tiers open(Options options, Host host) throws IOException {
    List<Options.TierOptions> wanted = options.tiers();
    List<Tier> usable = new ArrayList<>();
    List<String> leftOut = new ArrayList<>();
    for (Options.TierOptions tier : wanted) {
      Storage storage = FaultyStorage.of(new FileStorage(tier.directory()), tier.faults());
      try {
        usable.add(
            new Tier(
                tier.name(),
                tier.capacityBytes(),
                options.block().evictedLast(),
                storage,
                host.clock(),
                host.trouble()));
      } catch (IOException e) {
        if (wanted.size() == 1) {
          throw e;
        }
        leftOut.add(IoProblem.explain(e) + "; it is left out until the next start");
      }
    }
    if (usable.isEmpty()) {
      throw new IOException("none of the tiers can be used: " + String.join("; ", leftOut));
    }
    return new Tiers(usable, leftOut, Moves.DEFAULT, host.trouble());
  }

  /// Said in the log only: health says it for each VM that cannot be served, until it can.
  private static void look(Options.OriginOptions origin) {
    if (!Files.isDirectory(origin.directory())) {
      LOG.log(
          Level.WARNING,
          "origin ''{0}'' has no folder {1} now; VMs with its images are served once it is there",
          origin.name(),
          origin.directory());
    }
  }

  /// Where disks are read over TCP, or null.
  @Nullable InetSocketAddress nbdAddress() {
    return nbdAddress;
  }

  @Override
  public ResourceType type() {
    return ResourceType.FILE_BLOCK;
  }

  @Override
  public Bound open(Frame.Bind bind) throws IOException {
    return new Bound(Shape.blocks(disks.attach(bind)), "");
  }

  @Override
  public void close(int binding) throws IOException {
    disks.detach(binding);
  }

  @Override
  public void keepOnly(Set<String> names) throws IOException {
    disks.keepOnly(names);
  }

  @Override
  public long purge(String tenant, String source) throws IOException {
    return tiers.purge(tenant, source);
  }

  @Override
  public Stager stager() {
    return stager;
  }

  @Override
  public Set<Integer> spaces() {
    return disks.all().stream().map(disk -> disk.space().id()).collect(Collectors.toSet());
  }

  @Override
  public boolean serves(int id) {
    return stager.space(id) != null;
  }

  @Override
  public BitSet ready(int id) {
    BlockSpace space = stager.space(id);
    return space == null ? new BitSet() : space.resident();
  }

  @Override
  public List<Held> takeHeld() {
    return stager.takeHeld();
  }

  @Override
  public boolean hasNews() {
    return stager.hasNews();
  }

  @Override
  public void takeNews(News to) {
    // What is here goes out after what is told now, of which it takes back what stayed after all.
    stager.takeFilled().forEach(space -> ready.accept(space.id()));
    to.changed(stager.takeChanged());
    stager.takeEvicted(to::gone);
  }

  @Override
  public void giveBackExpired(long nowNanos) {
    stager.giveBackExpired(nowNanos);
  }

  @Override
  public void count(List<Frame.Counter> into) {
    for (Disk disk : disks.all()) {
      into.add(new Frame.Counter("demand_reads", disk.name(), disk.reads()));
      into.add(new Frame.Counter("demand_waits", disk.name(), disk.waits()));
      into.add(new Frame.Counter("demand_bytes", disk.name(), disk.bytes()));
      into.add(new Frame.Counter("accesses_dropped", disk.name(), disk.dropped()));
      into.add(new Frame.Counter("disk_connections", disk.name(), nbd.connections(disk)));
      into.add(new Frame.Counter("disk_served", disk.name(), disk.isRefused() ? 0 : 1));
      countFill(disk, into);
    }
    disks.waiting().forEach(name -> into.add(new Frame.Counter("disk_served", name, 0)));
    for (BlockStager.OriginCounts origin : stager.originCounts()) {
      String name = origin.name();
      into.add(new Frame.Counter("fetches", name, origin.fetches()));
      into.add(new Frame.Counter("fetched_bytes", name, origin.fetchedBytes()));
      into.add(new Frame.Counter("origin_errors", name, origin.errors()));
      into.add(new Frame.Counter("fetches_for_demand", name, origin.fetchesForDemand()));
      into.add(new Frame.Counter("fetches_behind_staging", name, origin.fetchesBehindStaging()));
    }
    for (Tier tier : tiers.all()) {
      into.add(new Frame.Counter("tier_used_bytes", tier.name(), tier.usedBytes()));
      into.add(new Frame.Counter("tier_capacity_bytes", tier.name(), tier.capacityBytes()));
      into.add(new Frame.Counter("tier_corrupt_extents", tier.name(), tier.corruptExtents()));
      into.add(new Frame.Counter("tier_hits", tier.name(), tier.hits()));
      into.add(new Frame.Counter("tier_promoted_bytes", tier.name(), tier.promotedBytes()));
      into.add(new Frame.Counter("tier_demoted_bytes", tier.name(), tier.demotedBytes()));
      for (Passage passage : Passage.values()) {
        into.add(new Frame.Counter(passage.counter(), tier.name(), tier.passedBytes(passage)));
      }
    }
    into.add(new Frame.Counter("connections", "", nbd.connections()));
  }

  private void countFill(Disk disk, List<Frame.Counter> into) {
    BlockStager.FillCounts fill = stager.fillCounts(disk.space());
    if (fill != null) {
      into.add(new Frame.Counter("fill_held_bytes", disk.name(), fill.heldBytes()));
      into.add(new Frame.Counter("fill_total_bytes", disk.name(), disk.sizeBytes()));
      into.add(new Frame.Counter("fill_rate_bytes", disk.name(), fill.bytesPerSecond()));
      into.add(new Frame.Counter("fill_complete", disk.name(), fill.complete() ? 1 : 0));
      into.add(new Frame.Counter("fill_completions", disk.name(), fill.completions()));
    }
  }

  /// Stops serving. The tiers keep what they have for the next start.
  @Override
  public void close() throws IOException {
    parts.close();
  }
}
