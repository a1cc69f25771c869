package dev.prestage.dataplane.block;

import dev.prestage.dataplane.bandwidth.Links;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.dataplane.edge.Edge;
import dev.prestage.dataplane.edge.Trouble;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.stage.Stager;
import dev.prestage.engine.time.Clock;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// Brings extents from their origins to the tier, for demand and for leases, and keeps the account
/// of both.
///
/// What is on its way and how leases stand is guarded by one lock, the [StagerLock], which the hit
/// path does not wait for. [Fetcher] moves the bytes, [LeaseBook] keeps the account: each extent of
/// a lease ends once.
public final class BlockStager implements Stager, AutoCloseable {
  private static final Logger LOG = System.getLogger(BlockStager.class.getName());

  private final Tiers tiers;
  private final BlockOptions options;
  private final Clock clock;
  private final StagerLock lock;
  private final Fetcher fetcher;
  private final TierMover mover;

  // Attaches of one image wait for each other, and for its origin; those of others do not.
  private final Map<String, ReentrantLock> imageLocks = new ConcurrentHashMap<>();
  // Guards what follows; nobody waits for an origin while having it.
  private final ReentrantLock attaching = new ReentrantLock();
  private final List<BlockSpace> open = new ArrayList<>();
  private final ImageWatch watch;
  // Guarded by `lock`.
  private final Map<Integer, BlockSpace> spaces = new HashMap<>();

  /// Hears of extents that are not on this host, in runs.
  @FunctionalInterface
  public interface Evictions {
    /// One run.
    void evicted(int space, long first, int extents);
  }

  /// A stager over these origins, earlier ones preferred, and these tiers. It closes them.
  ///
  /// @param links that to an origin decides the order of its fetches while it is scheduled
  public BlockStager(
      List<Origin> origins,
      Links links,
      Tiers tiers,
      BlockOptions options,
      Clock clock,
      Trouble trouble,
      Doorbell doorbell) {
    this(origins, links, tiers, options, clock, trouble, doorbell, true);
  }

  /// As above, over links that are never scheduled.
  public BlockStager(
      List<Origin> origins,
      Tier tier,
      BlockOptions options,
      Clock clock,
      Trouble trouble,
      Doorbell doorbell) {
    this(origins, tier, options, clock, trouble, doorbell, true);
  }

  /// With `threaded` off nothing moves by itself: a test calls [#step].
  BlockStager(
      List<Origin> origins,
      Tier tier,
      BlockOptions options,
      Clock clock,
      Trouble trouble,
      Doorbell doorbell,
      boolean threaded) {
    this(origins, Tiers.of(tier), options, clock, trouble, doorbell, threaded);
  }

  /// As above, over several tiers.
  BlockStager(
      List<Origin> origins,
      Tiers tiers,
      BlockOptions options,
      Clock clock,
      Trouble trouble,
      Doorbell doorbell,
      boolean threaded) {
    this(origins, new Links(Map.of()), tiers, options, clock, trouble, doorbell, threaded);
  }

  private BlockStager(
      List<Origin> origins,
      Links links,
      Tiers tiers,
      BlockOptions options,
      Clock clock,
      Trouble trouble,
      Doorbell doorbell,
      boolean threaded) {
    this.tiers = tiers;
    this.options = options;
    this.clock = clock;
    this.lock = new StagerLock(clock, doorbell);
    this.fetcher = new Fetcher(origins, links, tiers, options, clock, trouble, lock, threaded);
    fetcher.onUnused(this::retireUnused);
    this.mover = new TierMover(tiers, lock, clock, () -> fetcher.pendingReads() > 0);
    this.watch =
        new ImageWatch(origins, this::attachedTo, fetcher::refuse, fetcher::proven, trouble);
    fetcher.start();
    if (threaded) {
      watch.start();
      mover.start();
    }
  }

  // ---- attaching

  /// Opens an image for one more VM; blocks for as long as its origin takes. If another version of
  /// it is being read, its VMs keep that one, and are no longer staged for.
  ///
  /// @param id the number that access records and leases use for it
  /// @throws IOException with one line for whoever asked
  public BlockSpace attach(int id, String tenant, String image) throws IOException {
    return attach(id, tenant, image, null);
  }

  /// As above, for a VM that has read the image before.
  ///
  /// @param before which version it read; an origin that has this one goes before one that does not
  public BlockSpace attach(int id, String tenant, String image, Image.@Nullable Identity before)
      throws IOException {
    String name = tenant + "/" + image;
    ReentrantLock imageLock = imageLocks.computeIfAbsent(name, _ -> new ReentrantLock());
    imageLock.lock();
    try {
      Opened opened = open(image, before);
      try {
        BlockSpace known = join(id, tenant, opened.image);
        if (known != null) {
          opened.image.close();
          return known;
        }
        return attachNew(id, tenant, opened);
      } catch (IOException | RuntimeException e) {
        opened.image.close();
        throw e;
      }
    } finally {
      imageLock.unlock();
    }
  }

  /// One more VM for a space that is open and has these bytes, or null. Spaces of other versions
  /// that no VM reads are let go.
  private @Nullable BlockSpace join(int id, String tenant, Image image) {
    attaching.lock();
    try {
      retireIdle();
      for (BlockSpace space : List.copyOf(open)) {
        if (!space.tenant().equals(tenant) || !space.imageName().equals(image.name())) {
          continue;
        }
        if (space.refusal().isEmpty() && hasBytesOf(image.identity().to(space.heldIdentity()))) {
          register(id, space);
          return space;
        }
        if (hasNoUser(space)) {
          retire(space);
        } else {
          LOG.log(
              Level.INFO,
              "{0} has a new version at its origin; VMs that read the old one keep it",
              space);
        }
      }
      return null;
    } finally {
      attaching.unlock();
    }
  }

  private static boolean hasBytesOf(Image.Likeness likeness) {
    return likeness == Image.Likeness.SAME || likeness == Image.Likeness.TOUCHED;
  }

  private boolean hasNoUser(BlockSpace space) {
    lock.enter();
    try {
      return space.attachments == 0 && space.flights.isEmpty();
    } finally {
      lock.leave();
    }
  }

  private BlockSpace attachNew(int id, String tenant, Opened opened) throws IOException {
    Image image = opened.image;
    List<Tiers.Found> found = tiers.open(tenant, image.name(), image.identity());
    List<Shelf> shelves;
    try {
      shelves = proven(found, image);
    } catch (IOException | RuntimeException e) {
      found.forEach(one -> one.tier().letGo(one.file()));
      throw e;
    }
    tiers.dropDoubles(shelves, image.identity());
    var space = new BlockSpace(id, tenant, image, shelves, opened.queue);
    shelves.forEach(shelf -> shelf.tier().onDrop(shelf.file(), extent -> lost(space, extent)));
    attaching.lock();
    try {
      open.add(space);
      register(id, space);
    } finally {
      attaching.unlock();
    }
    return space;
  }

  /// The files with which the tiers go on, of an image that may have changed since they were
  /// filled.
  private List<Shelf> proven(List<Tiers.Found> found, Image image) throws IOException {
    boolean touched = false;
    boolean changed = false;
    for (Tiers.Found one : found) {
      touched |= one.doubtful();
      changed |= one.doubtful() && !ImageWatch.sampleMatches(one.file(), image);
    }
    if (changed) {
      LOG.log(Level.INFO, "{0}: the image has other bytes now, starting anew", image.name());
      return tiers.renew(found, image.identity());
    }
    if (touched) {
      // The watch compares the rest.
      LOG.log(Level.INFO, "{0}: the image was touched; what is here of it stays", image.name());
    }
    return found.stream().map(one -> new Shelf(one.tier(), one.file())).toList();
  }

  /// The spaces of an origin that VMs read.
  private List<BlockSpace> attachedTo(String origin) {
    attaching.lock();
    try {
      return open.stream()
          .filter(space -> space.attachments > 0 && space.queue.origin.name().equals(origin))
          .toList();
    } finally {
      attaching.unlock();
    }
  }

  /// The space that access records and leases of a number belong to, or null.
  public @Nullable BlockSpace space(int id) {
    lock.enter();
    try {
      return spaces.get(id);
    } finally {
      lock.leave();
    }
  }

  private void register(int id, BlockSpace space) {
    lock.enter();
    try {
      space.attachments++;
      space.renumber(id);
      spaces.put(id, space);
      fetcher.fill(space);
    } finally {
      lock.leave();
    }
  }

  /// A control plane has numbered a space anew.
  public void renumber(BlockSpace space, int id) {
    lock.enter();
    try {
      if (space.id() != id) {
        spaces.remove(space.id(), space);
        space.renumber(id);
      }
      spaces.put(id, space);
    } finally {
      lock.leave();
    }
  }

  private record Opened(Image image, FetchQueue queue) {}

  /// Asks all origins at once and takes the image of the first one that has it, of those that have
  /// the version that was read before if any does. One that does not answer is passed over.
  private Opened open(String image, Image.@Nullable Identity before) throws IOException {
    @Nullable Opened other = null;
    long deadline = System.nanoTime() + options.attemptDeadline().toNanos();
    SequencedMap<FetchQueue, Opener.Opening> asked = new LinkedHashMap<>();
    fetcher.queues().forEach(queue -> asked.put(queue, queue.opener.open(image)));
    List<String> missing = new ArrayList<>();
    List<String> silent = new ArrayList<>();
    while (!asked.isEmpty()) {
      Map.Entry<FetchQueue, Opener.Opening> next = asked.pollFirstEntry();
      FetchQueue queue = next.getKey();
      try {
        Image opened = next.getValue().await(deadline);
        if (opened != null && (before == null || hasBytesOf(opened.identity().to(before)))) {
          asked.values().forEach(Opener.Opening::giveUp);
          if (other != null) {
            other.image.close();
          }
          return new Opened(opened, queue);
        }
        if (opened != null && other == null) {
          other = new Opened(opened, queue);
        } else if (opened != null) {
          opened.close();
        }
        if (opened != null) {
          continue;
        }
        silent.add(queue.opener.silence(image, options.attemptDeadline()));
      } catch (NoSuchFileException e) {
        missing.add(e.getMessage());
      } catch (IOException | RuntimeException e) {
        asked.values().forEach(Opener.Opening::giveUp);
        if (other != null) {
          other.image.close();
        }
        throw e;
      }
    }
    if (other != null) {
      return other;
    }
    if (!silent.isEmpty()) {
      silent.addAll(missing);
      throw new IOException(String.join("; ", silent));
    }
    throw new NoSuchFileException(
        missing.isEmpty() ? "no origin is configured" : String.join("; ", missing));
  }

  /// A VM is gone. Its leases are called off; what they have ready stays until it is reclaimed.
  ///
  /// @param vm its number
  public void detach(BlockSpace space, int vm) {
    attaching.lock();
    try {
      lock.enter();
      try {
        space.attachments--;
        for (LiveLease lease : List.copyOf(space.leases.values())) {
          if (lease.lease.binding() == vm) {
            lock.book().cancelWaiting(lease);
          }
        }
      } finally {
        lock.leave();
      }
      retireIdle();
    } finally {
      attaching.unlock();
    }
  }

  private void retireUnused() {
    attaching.lock();
    try {
      retireIdle();
    } finally {
      attaching.unlock();
    }
  }

  private void retireIdle() {
    for (BlockSpace space : List.copyOf(open)) {
      boolean idle;
      lock.enter();
      try {
        idle = space.attachments == 0 && space.leases.isEmpty() && space.flights.isEmpty();
      } finally {
        lock.leave();
      }
      if (idle) {
        retire(space);
      }
    }
  }

  /// Lets go of an image that no VM uses.
  private void retire(BlockSpace space) {
    List<Integer> unused = new ArrayList<>();
    lock.enter();
    try {
      for (LiveLease lease : List.copyOf(space.leases.values())) {
        unused.addAll(lock.book().giveBack(lease));
      }
      space.queue.fill.remove(space);
      spaces.values().removeIf(space::equals);
    } finally {
      lock.leave();
    }
    open.remove(space);
    drop(space, unused);
    letGo(space);
    try {
      space.image.close();
    } catch (IOException e) {
      LOG.log(Level.INFO, "closing {0}: {1}", space, e.getMessage());
    }
  }

  /// What the tiers hold of an image that was refused is not to be trusted.
  private void letGo(BlockSpace space) {
    for (Shelf shelf : space.shelves) {
      if (space.refusal().isEmpty()) {
        shelf.tier().letGo(shelf.file());
      } else {
        shelf.tier().discard(shelf.file());
      }
    }
  }

  // ---- demand

  /// Demand for an extent that is here: the end of its staging, if it was staged and this is the
  /// first time. Takes no lock that it would have to wait for.
  void demanded(BlockSpace space, int extent, long nowNanos) {
    if (space.pinned.clear(extent)) {
      lock.claim(space, extent, nowNanos);
    }
  }

  /// Demand for extents that are not here: each is fetched, or its fetch is joined.
  ///
  /// @return those that have arrived since the caller looked; they are read from the tier
  BitSet join(PendingRead read, BlockSpace space, BitSet missing) {
    return fetcher.join(read, space, missing);
  }

  /// Extents of a read were copied by its own thread.
  void arrived(PendingRead read, int extents) {
    fetcher.arrived(read, extents);
  }

  /// Runs one fetch of an origin in the calling thread; false if there is none. For tests without
  /// threads.
  boolean step(String origin, ByteBuffer buffer) {
    return fetcher.step(origin, buffer);
  }

  /// Moves between tiers what is to be moved now, in the calling thread. For tests without threads.
  void settleTiers() {
    mover.settle();
  }

  // ---- leases

  @Override
  public void stage(Lease lease) {
    lock.enter();
    try {
      BlockSpace space = spaces.get(lease.space());
      LiveLease live = lock.book().add(lease, space);
      if (live != null && space != null && live.queued != 0) {
        fetcher.stage(space, live);
      }
    } finally {
      lock.leave();
    }
  }

  @Override
  public void cancel(long leaseId) {
    lock.enter();
    try {
      LiveLease lease = lock.book().get(leaseId);
      if (lease != null) {
        lock.book().cancelWaiting(lease);
      }
    } finally {
      lock.leave();
    }
  }

  /// Gives the space back before it returns, which is one system call for each unused extent. Of an
  /// image that is filled, the extents stay as if filled: they would be fetched again.
  @Override
  public void reclaim(long leaseId) {
    List<Integer> unused = List.of();
    @Nullable BlockSpace space = null;
    boolean lastUse = false;
    lock.enter();
    try {
      LiveLease lease = lock.book().get(leaseId);
      if (lease != null && lease.space != null) {
        space = lease.space;
        unused = lock.book().giveBack(lease);
        if (!unused.isEmpty() && space.queue.fill.has(space)) {
          unused = List.of();
          space.queue.fill.kept(space);
        }
        lastUse = space.attachments == 0;
      }
    } finally {
      lock.leave();
    }
    if (space != null) {
      drop(space, unused);
    }
    if (lastUse) {
      retireUnused();
    }
  }

  private void drop(BlockSpace space, List<Integer> extents) {
    for (int extent : extents) {
      for (Shelf shelf : space.shelves) {
        if (shelf.tier().drop(shelf.file(), extent)) {
          left(space, extent);
        }
      }
    }
  }

  private void left(BlockSpace space, int extent) {
    boolean wasComplete;
    lock.enter();
    try {
      wasComplete = setGone(space, extent);
    } finally {
      lock.leave();
    }
    if (wasComplete) {
      fetcher.reportIncomplete(space);
    }
  }

  /// @return whether the image was complete until now
  private boolean setGone(BlockSpace space, int extent) {
    space.gone.set(extent);
    lock.setNews();
    // It may have come again before this was said.
    return !space.holds(extent) && fetcher.lost(space);
  }

  /// An extent left by another hand than a reclaim: evicted, or found corrupt.
  private void lost(BlockSpace space, int extent) {
    boolean wasComplete;
    lock.enter();
    try {
      if (space.pinned.clear(extent)) {
        lock.book().lose(space, extent);
      }
      wasComplete = setGone(space, extent);
    } finally {
      lock.leave();
    }
    if (wasComplete) {
      fetcher.reportIncomplete(space);
    }
  }

  /// A reader saw a block that does not match. If that is the extent's fault it is removed.
  void suspect(BlockSpace space, Shelf shelf, int extent, VerifiedReader reader) {
    if (shelf.tier().dropIfCorrupt(shelf.file(), extent, reader)) {
      lost(space, extent);
    }
  }

  /// An extent that is said to be here and cannot be read goes.
  void expel(BlockSpace space, Shelf shelf, int extent) {
    if (shelf.tier().drop(shelf.file(), extent)) {
      lost(space, extent);
    }
  }

  // ---- what the control plane hears

  /// Whether [#takeChanged] or [#takeEvicted] has something to tell.
  public boolean hasNews() {
    return lock.hasNews();
  }

  /// The state of each lease that changed since the last call.
  public List<LeaseState> takeChanged() {
    lock.enter();
    try {
      lock.clearNews();
      if (spaces.values().stream().anyMatch(space -> space.fill.news)) {
        lock.setNews();
      }
      return lock.book().takeChanged();
    } finally {
      lock.leave();
    }
  }

  /// Tells which extents are no longer here, or were served without being kept, since the last
  /// call.
  public void takeEvicted(Evictions sink) {
    record Run(int space, int first, int extents) {}
    List<Run> runs = new ArrayList<>();
    lock.enter();
    try {
      for (BlockSpace space : spaces.values()) {
        BitSet gone = space.gone;
        gone.stream().filter(space::holds).forEach(gone::clear);
        int first = gone.nextSetBit(0);
        while (first >= 0) {
          int end = gone.nextClearBit(first);
          runs.add(new Run(space.id(), first, end - first));
          first = gone.nextSetBit(end);
        }
        gone.clear();
      }
    } finally {
      lock.leave();
    }
    runs.forEach(run -> sink.evicted(run.space, run.first, run.extents));
  }

  /// The images of which so much has come unasked since the last call that whoever keeps the leases
  /// should hear what is here.
  public List<BlockSpace> takeFilled() {
    lock.enter();
    try {
      List<BlockSpace> filled =
          spaces.values().stream().filter(space -> space.fill.news).distinct().toList();
      filled.forEach(space -> space.fill.news = false);
      return filled;
    } finally {
      lock.leave();
    }
  }

  /// How far the fill of an image is.
  ///
  /// @param heldBytes what of it is here
  /// @param bytesPerSecond what fill has brought lately
  /// @param complete whether all of it is here, and kept
  /// @param completions how often it became complete, so that nobody takes it for the same who did
  ///   not look in between
  public record FillCounts(
      long heldBytes, long bytesPerSecond, boolean complete, long completions) {}

  /// How far the fill of an image is, or null if it is not filled.
  public @Nullable FillCounts fillCounts(BlockSpace space) {
    if (!options.fill().isOn()) {
      return null;
    }
    // What is just moving may seem to be nowhere, or in two places.
    long held = Math.min(space.heldBytes(), space.sizeBytes());
    lock.enter();
    try {
      long rate = space.fill.bytesPerSecond(clock.nanos());
      boolean complete = space.fill.isComplete() && space.refusal().isEmpty();
      return new FillCounts(
          complete ? space.sizeBytes() : held, rate, complete, space.fill.completions());
    } finally {
      lock.leave();
    }
  }

  /// All leases that a new control plane must know of: live ones, and those that ended while nobody
  /// listened.
  public List<Edge.Held> takeHeld() {
    lock.enter();
    try {
      return lock.book().takeHeld();
    } finally {
      lock.leave();
    }
  }

  /// How much an origin was worked, since the start.
  ///
  /// @param fetchesForDemand how many of the fetches were begun for demand
  /// @param fetchesBehindStaging how many of those had to wait for their turn while staging was
  ///   under way
  public record OriginCounts(
      String name,
      long fetches,
      long fetchedBytes,
      long errors,
      long fetchesForDemand,
      long fetchesBehindStaging) {}

  /// How much each origin was worked.
  public List<OriginCounts> originCounts() {
    return fetcher.queues().stream()
        .map(queue ->
            new OriginCounts(
                queue.origin.name(),
                queue.fetches.sum(),
                queue.fetchedBytes.sum(),
                queue.errors.sum(),
                queue.fetchesForDemand.sum(),
                queue.fetchesBehindStaging.sum()))
        .toList();
  }

  /// Gives back what is ready and was not demanded, of leases whose time is over.
  public void giveBackExpired(long nowNanos) {
    List<Long> expired;
    lock.enter();
    try {
      expired = lock.book().expired(nowNanos);
    } finally {
      lock.leave();
    }
    expired.forEach(this::reclaim);
  }

  /// How many reads wait for an origin.
  public int pendingReads() {
    return fetcher.pendingReads();
  }

  /// Reads that wait fail; fetches under way are waited for, unless they hang. The tiers are made
  /// durable.
  @Override
  public void close() throws IOException {
    watch.close();
    mover.close();
    fetcher.queues().forEach(queue -> queue.opener.close());
    fetcher.close();
    attaching.lock();
    try {
      for (BlockSpace space : open) {
        letGo(space);
        space.image.close();
      }
      open.clear();
    } finally {
      attaching.unlock();
    }
    tiers.close();
  }
}
