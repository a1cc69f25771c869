package dev.prestage.dataplane.block;

import dev.prestage.engine.allocate.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.stage.Stager;
import dev.prestage.engine.time.Clock;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.file.NoSuchFileException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Queue;
import java.util.SequencedMap;
import java.util.SequencedSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// Brings extents from their origins to the tier, for demand and for leases, and keeps the account
/// of both.
///
/// **One lock** guards what is on its way and how leases stand. It is held for a few memory
/// accesses and never across I/O, a callback or a wait. The hit path does not take it: the first
/// demand for a staged extent clears a bit and leaves a [Claim], which whoever has the lock next
/// works off; that is the same thread if the lock is free.
///
/// **Threads.** Each origin has its own, begun when they are first needed, so that a dead origin
/// takes nothing from the others. Staging may use a part of them only, so that demand finds one
/// free. A thread that hangs in its origin for too long is given up and replaced.
///
/// **Outcomes.** Each extent of a lease ends once: [LiveLease#check] holds after each change.
public final class BlockStager implements Stager, AutoCloseable {
  private static final Logger LOG = System.getLogger(BlockStager.class.getName());

  // Demand is tried again after 50 ms, then after twice as long each time, at most 2 s: soon enough
  // for a hiccup, and no storm on an origin that restarts.
  private static final long FIRST_RETRY_NANOS = Duration.ofMillis(50).toNanos();
  private static final int LARGEST_RETRY_SHIFT = 5;
  private static final long LONGEST_RETRY_NANOS = Duration.ofSeconds(2).toNanos();

  // So many threads may be stuck in one origin before it gets no further ones: a dead origin then
  // costs these stacks and no more.
  private static final int MOST_LOST_THREADS = 64;

  private static final long CLOSE_NANOS = Duration.ofSeconds(2).toNanos();

  private final BlockOptions options;
  private final Tier tier;
  private final Clock clock;
  private final Trouble trouble;
  private final Doorbell doorbell;
  private final SequencedMap<String, FetchQueue> queues = new LinkedHashMap<>();

  private final ReentrantLock lock = new ReentrantLock();
  private final Queue<Claim> claims = new ConcurrentLinkedQueue<>();
  private final Map<Long, LiveLease> leases = new HashMap<>();
  private final SequencedSet<LiveLease> changed = new LinkedHashSet<>();
  private final SequencedSet<PendingRead> pending = new LinkedHashSet<>();
  private final Queue<Fetch> retries =
      new PriorityQueue<>((a, b) -> Long.compare(a.retryAtNanos, b.retryAtNanos));
  private final Condition timerWork = lock.newCondition();
  private final List<Thread> threads = new ArrayList<>();
  private final boolean threaded;
  private long timerWakesAtNanos = Long.MIN_VALUE;
  private boolean closed;
  private volatile boolean news;

  // Attaching and detaching do I/O, one at a time, beside everything else.
  private final ReentrantLock attaching = new ReentrantLock();
  private final Map<String, BlockSpace> spacesByName = new HashMap<>();
  // Guarded by `lock`.
  private final Map<Integer, BlockSpace> spaces = new HashMap<>();

  /// The first demand for an extent that was staged.
  private record Claim(BlockSpace space, int extent, long nanos) {}

  /// A lease with its state, for a new control plane.
  public record Held(Lease lease, LeaseState state) {}

  /// Hears of extents that are not on this host, in runs.
  @FunctionalInterface
  public interface Evictions {
    /// One run.
    void evicted(int space, long first, int extents);
  }

  /// A stager over these origins, earlier ones preferred, and this tier. It closes them.
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
    this.tier = tier;
    this.options = options;
    this.clock = clock;
    this.trouble = trouble;
    this.doorbell = doorbell;
    this.threaded = threaded;
    for (Origin origin : origins) {
      queues.put(
          origin.name(), new FetchQueue(origin, options.stagingFetches(), lock.newCondition()));
    }
    if (threaded) {
      startThread("block-timer", this::keepTime);
    }
  }

  // ---- attaching

  /// Opens an image for one more VM.
  ///
  /// @param id the number that access records and leases use for it
  /// @throws IOException with one line for whoever asked
  public BlockSpace attach(int id, String tenant, String image) throws IOException {
    attaching.lock();
    try {
      retireIdle();
      String name = tenant + "/" + image;
      Opened opened = open(image);
      BlockSpace known = spacesByName.get(name);
      if (known == null) {
        return attachNew(id, tenant, name, opened);
      }
      opened.image.close();
      if (opened.image.identity().equals(known.file.identity())) {
        register(id, known);
        return known;
      }
      if (known.attachments > 0) {
        throw new IOException(
            "image '"
                + image
                + "' has changed at its origin while other VMs use the version before; detach them"
                + " first");
      }
      retire(known);
      return attachNew(id, tenant, name, open(image));
    } finally {
      attaching.unlock();
    }
  }

  private BlockSpace attachNew(int id, String tenant, String name, Opened opened)
      throws IOException {
    try {
      TierFile file = tier.open(tenant, opened.image.name(), opened.image.identity());
      var space = new BlockSpace(id, tenant, opened.image, file, opened.queue);
      tier.onDrop(file, extent -> lost(space, extent));
      spacesByName.put(name, space);
      register(id, space);
      return space;
    } catch (IOException | RuntimeException e) {
      opened.image.close();
      throw e;
    }
  }

  private void register(int id, BlockSpace space) {
    enter();
    try {
      space.attachments++;
      space.renumber(id);
      spaces.put(id, space);
    } finally {
      leave();
    }
  }

  /// A control plane has numbered a space anew.
  public void renumber(BlockSpace space, int id) {
    enter();
    try {
      if (space.id() != id) {
        spaces.remove(space.id(), space);
        space.renumber(id);
      }
      spaces.put(id, space);
    } finally {
      leave();
    }
  }

  private record Opened(Image image, FetchQueue queue) {}

  private Opened open(String image) throws IOException {
    List<String> missing = new ArrayList<>();
    for (FetchQueue queue : queues.values()) {
      try {
        return new Opened(queue.origin.open(image), queue);
      } catch (NoSuchFileException e) {
        missing.add(e.getMessage());
      }
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
      enter();
      try {
        space.attachments--;
        for (LiveLease lease : List.copyOf(space.leases.values())) {
          if (lease.lease.vm() == vm) {
            cancelWaiting(lease);
          }
        }
      } finally {
        leave();
      }
      retireIdle();
    } finally {
      attaching.unlock();
    }
  }

  private void retireIdle() {
    for (BlockSpace space : List.copyOf(spacesByName.values())) {
      boolean idle;
      enter();
      try {
        idle = space.attachments == 0 && space.leases.isEmpty() && space.flights.isEmpty();
      } finally {
        leave();
      }
      if (idle) {
        retire(space);
      }
    }
  }

  /// Lets go of an image that no VM uses.
  private void retire(BlockSpace space) {
    List<Integer> unused = new ArrayList<>();
    enter();
    try {
      for (LiveLease lease : List.copyOf(space.leases.values())) {
        giveBack(lease, unused);
      }
      spaces.values().removeIf(space::equals);
    } finally {
      leave();
    }
    spacesByName.values().removeIf(space::equals);
    drop(space, unused);
    try {
      space.image.close();
    } catch (IOException e) {
      LOG.log(Level.INFO, "closing {0}: {1}", space, e.getMessage());
    }
  }

  // ---- the lock

  private void enter() {
    lock.lock();
    workOffClaims();
  }

  private void leave() {
    lock.unlock();
    combine();
  }

  /// Works claims off unless somebody has the lock; that one does it when leaving.
  private void combine() {
    while (!claims.isEmpty() && lock.tryLock()) {
      try {
        workOffClaims();
      } finally {
        lock.unlock();
      }
    }
  }

  private void workOffClaims() {
    Claim claim = claims.poll();
    while (claim != null) {
      for (LiveLease lease : covering(claim.space, claim.extent)) {
        if ((lease.idle() & lease.bit(claim.extent)) != 0) {
          lease.becomeUseful(claim.extent, claim.nanos);
          touched(lease);
        }
      }
      claim = claims.poll();
    }
  }

  // ---- demand

  /// Demand for an extent that is here: the end of its staging, if it was staged and this is the
  /// first time. Takes no lock that it would have to wait for.
  void demanded(BlockSpace space, int extent, long nowNanos) {
    if (space.file.pinned.clear(extent)) {
      claims.add(new Claim(space, extent, nowNanos));
      combine();
    }
  }

  /// Demand for extents that are not here: each is fetched, or its fetch is joined.
  ///
  /// @return those that have arrived since the caller looked; they are read from the tier
  BitSet join(PendingRead read, BlockSpace space, BitSet missing) {
    var landed = new BitSet();
    boolean open;
    enter();
    try {
      open = !closed;
      if (open) {
        join(read, space, missing, landed);
      }
    } finally {
      leave();
    }
    if (!open) {
      read.fail("the data plane is stopping");
    }
    return landed;
  }

  private void join(PendingRead read, BlockSpace space, BitSet missing, BitSet landed) {
    for (int at = missing.nextSetBit(0); at >= 0; at = missing.nextSetBit(at + 1)) {
      if (space.file.resident.get(at)) {
        landed.set(at);
        continue;
      }
      overtake(space, at);
      Fetch flight = space.flights.get(at);
      if (flight == null) {
        flight = new Fetch(space, at, runLength(space, missing, at), null, 0);
        fly(flight);
        space.queue.demand.add(flight);
        wake(space.queue);
      }
      flight.join(read, at);
    }
    if (landed.cardinality() < missing.cardinality()) {
      pending.add(read);
      wakeTimerBy(read.arrivedNanos() + options.readDeadline().toNanos());
    }
  }

  /// How many of the missing extents from one on can be fetched in one go.
  private static int runLength(BlockSpace space, BitSet missing, int first) {
    int limit = Math.min(missing.nextClearBit(first), first + Fetch.MAX_EXTENTS);
    int end = first + 1;
    while (end < limit && !space.flights.containsKey(end) && !space.file.resident.get(end)) {
      end++;
    }
    return end - first;
  }

  private static void fly(Fetch fetch) {
    for (int i = 0; i < fetch.count; i++) {
      fetch.space.flights.put(fetch.first + i, fetch);
    }
  }

  /// Demand came before the copy: whoever was to stage the extent was late.
  private void overtake(BlockSpace space, int extent) {
    for (LiveLease lease : covering(space, extent)) {
      long bit = lease.bit(extent);
      if ((lease.waiting() & bit) != 0) {
        lease.stopWaiting(bit);
        lease.late |= bit;
        touched(lease);
      }
    }
  }

  private void forget(Collection<PendingRead> done) {
    if (!done.isEmpty()) {
      enter();
      try {
        done.forEach(pending::remove);
      } finally {
        leave();
      }
    }
  }

  // ---- leases

  @Override
  public void stage(Lease lease) {
    enter();
    try {
      if (leases.containsKey(lease.id())) {
        return;
      }
      BlockSpace space = closed ? null : spaces.get(lease.space());
      var live = new LiveLease(lease, space);
      leases.put(lease.id(), live);
      if (space == null) {
        live.failed = lease.mask();
      } else {
        for (int i = 0; i < lease.extents(); i++) {
          begin(live, space, i);
        }
        space.leases.put(new BlockSpace.Place(lease.first(), lease.id()), live);
        if (live.queued != 0) {
          space.queue.stage(live);
          wake(space.queue);
        }
      }
      touched(live);
    } finally {
      leave();
    }
  }

  private void begin(LiveLease live, BlockSpace space, int index) {
    long bit = 1L << index;
    long position = live.lease.first() + index;
    if (position >= space.file.extents()) {
      live.failed |= bit;
      return;
    }
    int extent = (int) position;
    Fetch flight = space.flights.get(extent);
    if (space.file.resident.get(extent)) {
      live.redundant |= bit;
    } else if (flight != null && (flight.lease == null || isDemanded(flight, extent))) {
      live.late |= bit;
    } else if (owner(space, extent) != null) {
      live.joined |= bit;
    } else {
      live.queued |= bit;
    }
  }

  private static boolean isDemanded(Fetch fetch, int extent) {
    return (fetch.demanded & (1 << (extent - fetch.first))) != 0;
  }

  /// The lease for which an extent is queued or in flight.
  private static @Nullable LiveLease owner(BlockSpace space, int extent) {
    for (LiveLease lease : covering(space, extent)) {
      if (((lease.queued | lease.inFlight) & lease.bit(extent)) != 0) {
        return lease;
      }
    }
    return null;
  }

  private static List<LiveLease> covering(BlockSpace space, int extent) {
    List<LiveLease> found = List.of();
    var from = new BlockSpace.Place((long) extent - Lease.MAX_EXTENTS + 1, Long.MIN_VALUE);
    var to = new BlockSpace.Place(extent, Long.MAX_VALUE);
    for (LiveLease lease : space.leases.subMap(from, true, to, true).values()) {
      if (extent < lease.lease.first() + lease.lease.extents()) {
        if (found.isEmpty()) {
          found = new ArrayList<>(2);
        }
        found.add(lease);
      }
    }
    return found;
  }

  @Override
  public void cancel(long leaseId) {
    enter();
    try {
      LiveLease lease = leases.get(leaseId);
      if (lease != null) {
        cancelWaiting(lease);
      }
    } finally {
      leave();
    }
  }

  /// Everything that is waiting ends as cancelled; what is in flight is not kept unless another
  /// lease or demand wants it.
  private void cancelWaiting(LiveLease lease) {
    long waiting = lease.waiting();
    long owned = lease.queued | lease.inFlight;
    lease.stopWaiting(waiting);
    lease.cancelled |= waiting;
    touched(lease);
    while (owned != 0) {
      int index = Long.numberOfTrailingZeros(owned);
      owned &= owned - 1;
      inherit(lease, lease.extent(index));
    }
  }

  /// The next lease that waits for an extent becomes the one for which it is staged.
  private static void inherit(LiveLease from, int extent) {
    BlockSpace space = from.space;
    if (space == null) {
      return;
    }
    for (LiveLease heir : covering(space, extent)) {
      long bit = heir.bit(extent);
      if ((heir.joined & bit) != 0) {
        heir.joined &= ~bit;
        if (space.flights.containsKey(extent)) {
          heir.inFlight |= bit;
        } else {
          heir.queued |= bit;
          space.queue.stage(heir);
        }
        return;
      }
    }
  }

  /// Gives the space back before it returns, which is one system call for each unused extent.
  @Override
  public void reclaim(long leaseId) {
    List<Integer> unused = new ArrayList<>();
    @Nullable BlockSpace space = null;
    enter();
    try {
      LiveLease lease = leases.get(leaseId);
      if (lease != null && lease.space != null) {
        space = lease.space;
        giveBack(lease, unused);
      }
    } finally {
      leave();
    }
    if (space != null) {
      drop(space, unused);
    }
    if (space != null && space.attachments == 0) {
      attaching.lock();
      try {
        retireIdle();
      } finally {
        attaching.unlock();
      }
    }
  }

  private void giveBack(LiveLease lease, List<Integer> unused) {
    cancelWaiting(lease);
    long idle = lease.idle();
    while (idle != 0) {
      int extent = lease.extent(Long.numberOfTrailingZeros(idle));
      idle &= idle - 1;
      // Whoever clears the bit says how the extent ended. If it is clear, a claim is under way.
      if (lease.space != null && lease.space.file.pinned.clear(extent)) {
        lease.unused |= lease.bit(extent);
        unused.add(extent);
      }
    }
    touched(lease);
  }

  private void drop(BlockSpace space, List<Integer> extents) {
    for (int extent : extents) {
      if (tier.drop(space.file, extent)) {
        left(space, extent);
      }
    }
  }

  private void left(BlockSpace space, int extent) {
    enter();
    try {
      space.gone.set(extent);
      news = true;
    } finally {
      leave();
    }
    doorbell.ring();
  }

  /// An extent left by another hand than a reclaim: evicted, or found corrupt.
  private void lost(BlockSpace space, int extent) {
    enter();
    try {
      if (space.file.pinned.clear(extent)) {
        for (LiveLease lease : covering(space, extent)) {
          if ((lease.idle() & lease.bit(extent)) != 0) {
            lease.failed |= lease.bit(extent);
            touched(lease);
          }
        }
      }
      space.gone.set(extent);
      news = true;
    } finally {
      leave();
    }
    doorbell.ring();
  }

  /// A reader saw a block that does not match. If that is the extent's fault it is removed.
  void suspect(BlockSpace space, int extent, VerifiedReader reader) {
    if (tier.dropIfCorrupt(space.file, extent, reader)) {
      lost(space, extent);
    }
  }

  /// An extent that is said to be here and cannot be read goes.
  void expel(BlockSpace space, int extent) {
    if (tier.drop(space.file, extent)) {
      lost(space, extent);
    }
  }

  /// Extents of a read were copied by its own thread.
  void arrived(PendingRead read, int extents) {
    if (read.arrived(extents)) {
      forget(List.of(read));
    }
  }

  private void touched(LiveLease lease) {
    lease.check();
    changed.add(lease);
    news = true;
    if (lease.hasEnded()) {
      leases.remove(lease.lease.id());
      if (lease.space != null) {
        lease.space.leases.remove(new BlockSpace.Place(lease.lease.first(), lease.lease.id()));
      }
    }
    doorbell.ring();
  }

  // ---- fetching

  private void wake(FetchQueue queue) {
    if (!threaded || closed) {
      return;
    }
    int limit = options.stagingFetches() + options.demandFetches() + queue.lostThreads;
    if (queue.idleThreads > queue.wakeups) {
      queue.wakeups++;
      queue.work.signal();
    } else if (queue.threads < limit) {
      queue.threads++;
      startThread("fetch-" + queue.origin.name() + "-" + queue.threads, () -> work(queue));
    }
  }

  private void startThread(String name, Runnable task) {
    threads.removeIf(thread -> !thread.isAlive() && thread.getState() != Thread.State.NEW);
    threads.add(Thread.ofPlatform().name(name).daemon().start(task));
  }

  private void work(FetchQueue queue) {
    ByteBuffer buffer = ByteBuffer.allocateDirect(Fetch.MAX_BYTES);
    enter();
    try {
      boolean replaced = false;
      while (!closed && !replaced) {
        Fetch fetch = queue.next(clock.nanos());
        if (fetch == null) {
          queue.idleThreads++;
          queue.work.awaitUninterruptibly();
          queue.idleThreads--;
          queue.wakeups = Math.max(0, queue.wakeups - 1);
          continue;
        }
        if (queue.hasWork()) {
          wake(queue);
        }
        wakeTimerBy(fetch.startedNanos + options.attemptDeadline().toNanos());
        leave();
        try {
          run(fetch, buffer);
        } finally {
          enter();
        }
        if (fetch.abandoned) {
          queue.lostThreads--;
          replaced = true;
        }
      }
    } finally {
      queue.threads--;
      leave();
    }
  }

  /// Runs one fetch of an origin in the calling thread; false if there is none.
  boolean step(String origin, ByteBuffer buffer) {
    FetchQueue queue = queues.get(origin);
    @Nullable Fetch fetch = null;
    enter();
    try {
      fetch = queue == null ? null : queue.next(clock.nanos());
    } finally {
      leave();
    }
    if (fetch != null) {
      run(fetch, buffer);
    }
    return fetch != null;
  }

  private void run(Fetch fetch, ByteBuffer buffer) {
    int reserved = 0;
    if (fetch.lease != null) {
      reserved = reserve(fetch, fetch.mask());
      if (reserved != fetch.mask() && !shrink(fetch, Integer.bitCount(reserved))) {
        return;
      }
    }
    buffer.clear().limit(fetch.bytes());
    try {
      fetch.space.image.read(fetch.offset(), buffer);
    } catch (IOException | RuntimeException e) {
      release(fetch, reserved);
      failed(fetch, e);
      return;
    }
    buffer.flip();

    // Whoever waits gets the bytes first; keeping them comes after that.
    int wanted = 0;
    List<Fetch.Waiter> waiters = List.of();
    enter();
    try {
      fetch.space.queue.moved(fetch, buffer.limit(), clock.nanos());
      if (!fetch.abandoned) {
        waiters = fetch.takeWaiters();
        wanted = wanted(fetch);
      }
    } finally {
      leave();
    }
    deliver(fetch, waiters, buffer);

    release(fetch, reserved & ~wanted);
    int room = reserved & wanted;
    room |= reserve(fetch, wanted & ~room);
    int kept = keep(fetch, room, buffer);

    enter();
    try {
      for (int i = 0; i < fetch.count; i++) {
        land(fetch, fetch.first + i, (kept & (1 << i)) != 0);
      }
      fetch.space.queue.over(fetch);
      waiters = fetch.takeWaiters();
      if (fetch.space.queue.hasWork()) {
        wake(fetch.space.queue);
      }
    } finally {
      leave();
    }
    deliver(fetch, waiters, buffer);
  }

  /// Takes room for extents, first ones first; tells which got it.
  private int reserve(Fetch fetch, int bits) {
    int got = 0;
    for (int rest = tier.accepts() ? bits : 0; rest != 0; rest &= rest - 1) {
      int index = Integer.numberOfTrailingZeros(rest);
      if (!tier.reserve(fetch.space.file.bytesOf(fetch.first + index))) {
        break;
      }
      got |= 1 << index;
    }
    return got;
  }

  private void release(Fetch fetch, int bits) {
    for (int rest = bits; rest != 0; rest &= rest - 1) {
      tier.release(fetch.space.file.bytesOf(fetch.first + Integer.numberOfTrailingZeros(rest)));
    }
  }

  /// Writes extents to the tier; tells which of them can be read there.
  private int keep(Fetch fetch, int bits, ByteBuffer buffer) {
    TierFile file = fetch.space.file;
    int kept = 0;
    int rest = bits;
    try {
      while (rest != 0) {
        int from = Integer.numberOfTrailingZeros(rest);
        int length = Integer.numberOfTrailingZeros(~(rest >>> from));
        int start = from * TierFile.EXTENT_BYTES;
        int end = Math.min(buffer.limit(), (from + length) * TierFile.EXTENT_BYTES);
        file.write(fetch.first + from, length, buffer.slice(start, end - start));
        int run = ((1 << length) - 1) << from;
        kept |= run;
        rest &= ~run;
      }
      if (kept != 0) {
        tier.wrote();
      }
    } catch (IOException e) {
      release(fetch, rest);
      tier.refused(file, e);
    }
    return kept;
  }

  private void deliver(Fetch fetch, List<Fetch.Waiter> waiters, ByteBuffer buffer) {
    List<PendingRead> done = new ArrayList<>();
    for (Fetch.Waiter waiter : waiters) {
      for (int rest = waiter.extents(); rest != 0; rest &= rest - 1) {
        int index = Integer.numberOfTrailingZeros(rest);
        int start = index * TierFile.EXTENT_BYTES;
        int length = Math.min(TierFile.EXTENT_BYTES, buffer.limit() - start);
        waiter.read().put(fetch.offset() + start, buffer.slice(start, length));
      }
      if (waiter.read().arrived(Integer.bitCount(waiter.extents()))) {
        done.add(waiter.read());
      }
    }
    forget(done);
  }

  /// Gives up the part of a staging fetch for which the tier has no room, from an extent on.
  ///
  /// @return whether anything is left to fetch
  private boolean shrink(Fetch fetch, int count) {
    enter();
    try {
      redirect(fetch, fetch.mask() & ~((1 << count) - 1), 0);
      fetch.count = count;
      if (count == 0) {
        fetch.space.queue.over(fetch);
      }
    } finally {
      leave();
    }
    if (tier.accepts()) {
      trouble.report(
          "tier-full",
          "tier '"
              + tier.name()
              + "' is full of extents that are staged and not used yet: staging has no room."
              + " Enlarge the tier, or lower the staging budget");
    }
    return count > 0;
  }

  private void failed(Fetch fetch, Exception e) {
    FetchQueue queue = fetch.space.queue;
    boolean stopping;
    enter();
    try {
      stopping = closed;
      if (!fetch.abandoned) {
        int shift = Math.min(fetch.attempt, LARGEST_RETRY_SHIFT);
        redirect(fetch, fetch.mask(), Math.min(FIRST_RETRY_NANOS << shift, LONGEST_RETRY_NANOS));
        queue.over(fetch);
      }
      if (queue.hasWork()) {
        wake(queue);
      }
    } finally {
      leave();
    }
    if (stopping) {
      return;
    }
    queue.errors.increment();
    trouble.report(
        "origin-error",
        "origin '"
            + queue.origin.name()
            + "' fails to read image '"
            + fetch.space.imageName()
            + "' ("
            + e.getMessage()
            + "); demand tries again for "
            + options.readDeadline().toSeconds()
            + " s, staging gives up");
  }

  /// Some extents of a fetch do not come. Leases that want them have failed; demand that waits for
  /// them gets a fetch of its own.
  private void redirect(Fetch fetch, int bits, long delayNanos) {
    BlockSpace space = fetch.space;
    for (int rest = bits; rest != 0; rest &= rest - 1) {
      land(fetch, fetch.first + Integer.numberOfTrailingZeros(rest), false);
    }
    List<Fetch.Waiter> waiting = new ArrayList<>();
    int demanded = 0;
    for (Fetch.Waiter waiter : fetch.takeWaiters()) {
      int staying = waiter.extents() & ~bits;
      if (staying != 0) {
        fetch.join(new Fetch.Waiter(waiter.read(), staying));
      }
      int moving = waiter.extents() & bits;
      if (moving != 0 && !waiter.read().isDone()) {
        waiting.add(new Fetch.Waiter(waiter.read(), moving));
        demanded |= moving;
      }
    }
    if (demanded == 0) {
      return;
    }
    int from = Integer.numberOfTrailingZeros(demanded);
    int to = Integer.SIZE - Integer.numberOfLeadingZeros(demanded);
    var next = new Fetch(space, fetch.first + from, to - from, null, fetch.attempt + 1);
    waiting.forEach(w -> next.join(new Fetch.Waiter(w.read(), w.extents() >>> from)));
    fly(next);
    if (delayNanos > 0) {
      next.retryAtNanos = clock.nanos() + delayNanos;
      retries.add(next);
      wakeTimerBy(next.retryAtNanos);
    } else {
      space.queue.demand.add(next);
      wake(space.queue);
    }
  }

  /// Which extents of a fetch anybody still wants.
  private static int wanted(Fetch fetch) {
    if (fetch.lease == null) {
      return fetch.mask();
    }
    int wanted = fetch.demanded;
    for (int i = 0; i < fetch.count; i++) {
      if (owner(fetch.space, fetch.first + i) != null) {
        wanted |= 1 << i;
      }
    }
    return wanted;
  }

  /// An extent of a fetch has come, and is in the tier or is not.
  private void land(Fetch fetch, int extent, boolean kept) {
    BlockSpace space = fetch.space;
    space.flights.remove(extent, fetch);
    boolean staged = false;
    for (LiveLease lease : covering(space, extent)) {
      long bit = lease.bit(extent);
      if ((lease.waiting() & bit) != 0) {
        boolean owns = (lease.inFlight & bit) != 0;
        lease.stopWaiting(bit);
        if (!kept) {
          lease.failed |= bit;
        } else if (owns) {
          lease.becomeReady(extent, clock.nanos());
          staged = true;
        } else {
          lease.redundant |= bit;
        }
        touched(lease);
      } else if (kept && lease == fetch.lease && (lease.late & bit) != 0) {
        lease.ready |= bit;
        touched(lease);
      }
    }
    if (kept) {
      if (staged) {
        space.file.pinned.set(extent);
      }
      if (!space.file.resident.set(extent)) {
        tier.release(space.file.bytesOf(extent));
      }
    } else if (fetch.demanded != 0) {
      space.gone.set(extent);
      news = true;
    }
  }

  // ---- time

  private void wakeTimerBy(long nanos) {
    if (nanos < timerWakesAtNanos) {
      timerWork.signal();
    }
  }

  private void keepTime() {
    enter();
    try {
      while (!closed) {
        timerWakesAtNanos = Long.MIN_VALUE;
        long now = clock.nanos();
        startRetries(now);
        List<PendingRead> expired = takeExpired(now);
        List<Fetch> hung = abandonHung(now);
        if (!expired.isEmpty() || !hung.isEmpty()) {
          leave();
          try {
            tell(expired, hung);
          } finally {
            enter();
          }
        } else {
          timerWakesAtNanos = nextEvent();
          // Waking early is fine: everything is looked at again.
          long _ = timerWork.awaitNanos(Math.max(0, timerWakesAtNanos - now));
        }
      }
    } catch (InterruptedException e) {
      LOG.log(Level.ERROR, "nobody may interrupt the timer", e);
    } finally {
      leave();
    }
  }

  private void startRetries(long now) {
    while (!retries.isEmpty() && retries.element().retryAtNanos <= now) {
      Fetch fetch = retries.remove();
      if (fetch.isAwaited()) {
        fetch.space.queue.demand.add(fetch);
        wake(fetch.space.queue);
      } else {
        for (int i = 0; i < fetch.count; i++) {
          fetch.space.flights.remove(fetch.first + i, fetch);
        }
      }
    }
  }

  private List<PendingRead> takeExpired(long now) {
    List<PendingRead> expired = new ArrayList<>();
    while (!pending.isEmpty()
        && pending.getFirst().arrivedNanos() + options.readDeadline().toNanos() <= now) {
      expired.add(pending.removeFirst());
    }
    return expired;
  }

  private List<Fetch> abandonHung(long now) {
    List<Fetch> hung = new ArrayList<>();
    for (FetchQueue queue : queues.values()) {
      while (!queue.running.isEmpty()
          && queue.lostThreads < MOST_LOST_THREADS
          && queue.running.getFirst().startedNanos + options.attemptDeadline().toNanos() <= now) {
        Fetch fetch = queue.running.getFirst();
        fetch.abandoned = true;
        queue.lostThreads++;
        queue.errors.increment();
        queue.over(fetch);
        redirect(fetch, fetch.mask(), 0);
        hung.add(fetch);
      }
      if (queue.hasWork()) {
        wake(queue);
      }
    }
    return hung;
  }

  private void tell(List<PendingRead> expired, List<Fetch> hung) {
    for (Fetch fetch : hung) {
      trouble.report(
          "origin-hangs",
          "origin '"
              + fetch.space.queue.origin.name()
              + "' has not answered a read of image '"
              + fetch.space.imageName()
              + "' for "
              + options.attemptDeadline().toMillis()
              + " ms: is its server or the network down?");
    }
    for (PendingRead read : expired) {
      String why = "the origin did not answer within " + options.readDeadline().toMillis() + " ms";
      if (read.fail(why)) {
        trouble.report("origin-hangs", "a guest's read has failed: " + why);
      }
    }
  }

  private long nextEvent() {
    long next = Long.MAX_VALUE;
    if (!retries.isEmpty()) {
      next = retries.element().retryAtNanos;
    }
    if (!pending.isEmpty()) {
      next = Math.min(next, pending.getFirst().arrivedNanos() + options.readDeadline().toNanos());
    }
    for (FetchQueue queue : queues.values()) {
      if (!queue.running.isEmpty() && queue.lostThreads < MOST_LOST_THREADS) {
        next =
            Math.min(
                next, queue.running.getFirst().startedNanos + options.attemptDeadline().toNanos());
      }
    }
    return next;
  }

  // ---- what the control plane hears

  /// Whether [#takeChanged] or [#takeEvicted] has something to tell.
  public boolean hasNews() {
    return news;
  }

  /// The state of each lease that changed since the last call.
  public List<LeaseState> takeChanged() {
    enter();
    try {
      news = false;
      List<LeaseState> states = changed.stream().map(LiveLease::state).toList();
      changed.clear();
      return states;
    } finally {
      leave();
    }
  }

  /// Tells which extents are no longer here, or were served without being kept, since the last
  /// call.
  public void takeEvicted(Evictions sink) {
    record Run(int space, int first, int extents) {}
    List<Run> runs = new ArrayList<>();
    enter();
    try {
      for (BlockSpace space : spaces.values()) {
        BitSet gone = space.gone;
        gone.stream().filter(space.file.resident::get).forEach(gone::clear);
        int first = gone.nextSetBit(0);
        while (first >= 0) {
          int end = gone.nextClearBit(first);
          runs.add(new Run(space.id(), first, end - first));
          first = gone.nextSetBit(end);
        }
        gone.clear();
      }
    } finally {
      leave();
    }
    runs.forEach(run -> sink.evicted(run.space, run.first, run.extents));
  }

  /// All leases that a new control plane must know of: live ones, and those that ended while nobody
  /// listened.
  public List<Held> takeHeld() {
    enter();
    try {
      var held = new LinkedHashSet<>(changed);
      held.addAll(leases.values());
      changed.clear();
      return held.stream().map(lease -> new Held(lease.lease, lease.state())).toList();
    } finally {
      leave();
    }
  }

  /// Receives the numbers of one origin.
  @FunctionalInterface
  public interface OriginCounters {
    /// One origin, cumulative since the start.
    void origin(String name, long fetches, long fetchedBytes, long errors);
  }

  /// Tells how much each origin was worked.
  public void count(OriginCounters sink) {
    for (FetchQueue queue : queues.values()) {
      sink.origin(
          queue.origin.name(), queue.fetches.sum(), queue.fetchedBytes.sum(), queue.errors.sum());
    }
  }

  /// How many reads wait for an origin.
  public int pendingReads() {
    enter();
    try {
      return pending.size();
    } finally {
      leave();
    }
  }

  /// Reads that wait fail; fetches under way are waited for, unless they hang. The tier is made
  /// durable.
  @Override
  public void close() throws IOException {
    List<PendingRead> waiting;
    List<Thread> running;
    enter();
    try {
      closed = true;
      waiting = List.copyOf(pending);
      pending.clear();
      running = List.copyOf(threads);
      timerWork.signalAll();
      queues.values().forEach(queue -> queue.work.signalAll());
    } finally {
      leave();
    }
    waiting.forEach(read -> read.fail("the data plane is stopping"));
    queues.values().forEach(queue -> queue.origin.close());
    long deadline = System.nanoTime() + CLOSE_NANOS;
    for (Thread thread : running) {
      joinUntil(thread, deadline);
    }
    attaching.lock();
    try {
      for (BlockSpace space : spacesByName.values()) {
        space.image.close();
      }
      spacesByName.clear();
    } finally {
      attaching.unlock();
    }
    tier.close();
  }

  private static void joinUntil(Thread thread, long deadlineNanos) {
    try {
      long left = TimeUnit.NANOSECONDS.toMillis(deadlineNanos - System.nanoTime());
      if (left > 0 && !thread.join(Duration.ofMillis(left))) {
        LOG.log(Level.INFO, "{0} is stuck in its origin and is left behind", thread.getName());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
