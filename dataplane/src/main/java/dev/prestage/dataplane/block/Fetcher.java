package dev.prestage.dataplane.block;

import dev.prestage.dataplane.bandwidth.Link;
import dev.prestage.dataplane.bandwidth.Links;
import dev.prestage.dataplane.edge.Trouble;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.Queue;
import java.util.SequencedMap;
import java.util.SequencedSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import org.jspecify.annotations.Nullable;

/// Reads extents from their origins, hands them to the reads that wait, and puts them into a tier.
///
/// **Threads.** Each origin has its own, begun when they are first needed, so that a dead origin
/// takes nothing from the others. Staging may use a part of them only, so that demand finds one
/// free, and demand that is being written to a tier, after its guest has the bytes, counts apart. A
/// thread that hangs in its origin for too long is given up and replaced. One more thread keeps
/// time: it starts retries, ends reads at their deadline, gives hung fetches up, and has those look
/// for work that bring what nobody asked for.
///
/// Errors of an origin end staging at once; demand is tried again until the deadline of its reads.
/// What became of each extent is written into the [LeaseBook] at one place, [#land].
final class Fetcher {
  private static final Logger LOG = System.getLogger(Fetcher.class.getName());

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
  private final Tiers tiers;
  private final Clock clock;
  private final Trouble trouble;
  private final StagerLock lock;
  private final boolean threaded;
  private final SequencedMap<String, FetchQueue> queues = new LinkedHashMap<>();

  // All that follows is guarded by the lock.
  private final SequencedSet<PendingRead> pending = new LinkedHashSet<>();
  private final Queue<Fetch> retries =
      new PriorityQueue<>((a, b) -> Long.compare(a.retryAtNanos, b.retryAtNanos));
  private final Condition timerWork;
  private final List<Thread> threads = new ArrayList<>();
  private long timerWakesAtNanos = Long.MIN_VALUE;
  private volatile Runnable letGo = () -> {};
  private boolean closed;

  /// With `threaded` off nothing moves by itself: a test calls [#step].
  Fetcher(
      List<Origin> origins,
      Links links,
      Tiers tiers,
      BlockOptions options,
      Clock clock,
      Trouble trouble,
      StagerLock lock,
      boolean threaded) {
    this.tiers = tiers;
    this.options = options;
    this.clock = clock;
    this.trouble = trouble;
    this.lock = lock;
    this.threaded = threaded;
    this.timerWork = lock.newCondition();
    for (Origin origin : origins) {
      Link link =
          Objects.requireNonNullElseGet(
              links.of(origin.name()), () -> Link.unscheduled(origin.name()));
      FetchQueue queue = new FetchQueue(origin, link, options, lock.newCondition());
      queue.fill.onNews(lock::setNews);
      queues.put(origin.name(), queue);
    }
  }

  void start() {
    if (threaded) {
      lock.enter();
      try {
        startThread("block-timer", this::keepTime);
      } finally {
        lock.leave();
      }
    }
  }

  /// Sets who lets images go that no VM uses.
  void onUnused(Runnable letsGo) {
    letGo = letsGo;
  }

  /// The origins, preferred ones first.
  Collection<FetchQueue> queues() {
    return queues.values();
  }

  // ---- demand

  /// Demand for extents that are not here: each is fetched, or its fetch is joined.
  ///
  /// @return those that have arrived since the caller looked; they are read from the tier
  BitSet join(PendingRead read, BlockSpace space, BitSet missing) {
    var landed = new BitSet();
    String refusal;
    lock.enter();
    try {
      refusal = closed ? "the data plane is stopping" : space.refusal();
      if (refusal.isEmpty()) {
        join(read, space, missing, landed);
      }
    } finally {
      lock.leave();
    }
    if (!refusal.isEmpty()) {
      read.fail(refusal);
    }
    return landed;
  }

  private void join(PendingRead read, BlockSpace space, BitSet missing, BitSet landed) {
    for (int at = missing.nextSetBit(0); at >= 0; at = missing.nextSetBit(at + 1)) {
      if (space.holds(at)) {
        landed.set(at);
        continue;
      }
      lock.book().overtake(space, at);
      Fetch flight = space.flights.get(at);
      if (flight == null) {
        flight = new Fetch(space, at, runLength(space, missing, at), null, 0);
        flight.vm = read.vm();
        fly(flight);
        space.queue.demand(flight, true, clock.nanos());
        if (!wake(space.queue)) {
          space.queue.findsNoTurn(flight);
        }
      }
      flight.join(read, at);
      if (!flight.arrived) {
        read.waits();
      }
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
    while (end < limit && !space.flights.containsKey(end) && !space.holds(end)) {
      end++;
    }
    return end - first;
  }

  private static void fly(Fetch fetch) {
    for (int i = 0; i < fetch.count; i++) {
      fetch.space.flights.put(fetch.first + i, fetch);
    }
  }

  private void forget(Collection<PendingRead> done) {
    if (!done.isEmpty()) {
      lock.enter();
      try {
        done.forEach(pending::remove);
      } finally {
        lock.leave();
      }
    }
  }

  /// Extents of a read were copied by its own thread.
  void arrived(PendingRead read, int extents) {
    if (read.arrived(extents)) {
      forget(List.of(read));
    }
  }

  // ---- fetching

  /// A lease has something queued. That fails at once while the breaker holds it back, or when its
  /// image is refused.
  void stage(BlockSpace space, LiveLease lease) {
    if (space.refusal().isEmpty() && space.queue.breaker.admits(clock.nanos())) {
      space.queue.stage(lease);
      wake(space.queue);
    } else {
      lock.book().failQueued(lease);
    }
  }

  /// VMs read an image from now on; for whoever has the lock.
  void fill(BlockSpace space) {
    space.queue.fill.add(space);
    if (space.queue.fill.has(space)) {
      wake(space.queue);
    }
  }

  /// An extent of an image is gone; for whoever has the lock.
  ///
  /// @return whether the image was complete until now, which [#reportIncomplete] then says
  boolean lost(BlockSpace space) {
    boolean wasComplete = space.queue.fill.lost(space);
    if (wasComplete) {
      wake(space.queue);
    }
    return wasComplete;
  }

  void reportIncomplete(BlockSpace space) {
    trouble.report(
        "incomplete:" + space,
        "image '"
            + space.imageName()
            + "' is not complete on this host any more, so its VMs need origin '"
            + space.queue.origin.name()
            + "': a tier had to evict some of it, it was purged, or a disk is damaged. It is"
            + " filled again when there is room");
  }

  /// Has a thread look for work; false if all are busy, or the origin is: what ends there wakes
  /// one.
  private boolean wake(FetchQueue queue) {
    if (!threaded || closed) {
      return true;
    }
    if (!queue.mayRead()) {
      return false;
    }
    // As many again write to a tier what they have read, and work the origin no more.
    int limit = 2 * (options.stagingFetches() + options.demandFetches()) + queue.lostThreads;
    if (queue.idleThreads > queue.wakeups) {
      queue.wakeups++;
      queue.work.signal();
      return true;
    }
    if (queue.threads < limit) {
      queue.threads++;
      startThread("fetch-" + queue.origin.name() + "-" + queue.threads, () -> work(queue));
      return true;
    }
    // One that was woken before takes what is most urgent, and wakes the next for the rest.
    return queue.idleThreads > 0;
  }

  private void startThread(String name, Runnable task) {
    threads.removeIf(thread -> !thread.isAlive() && thread.getState() != Thread.State.NEW);
    threads.add(Thread.ofPlatform().name(name).daemon().start(task));
  }

  private void work(FetchQueue queue) {
    ByteBuffer buffer = ByteBuffer.allocateDirect(TierFile.EXTENT_BYTES);
    lock.enter();
    try {
      boolean replaced = false;
      while (!closed && !replaced) {
        Fetch fetch = queue.next(clock.nanos());
        if (fetch == null) {
          queue.idleThreads++;
          wakeTimerBy(queue.fill.hasLines() ? Long.MIN_VALUE : queue.fill.lookAtNanos());
          long nanos = queue.beginSleep();
          if (nanos > 0) {
            // Waking early is fine: everything is looked at again.
            long _ = queue.work.awaitNanos(nanos);
          } else {
            queue.work.awaitUninterruptibly();
          }
          queue.endSleep(nanos);
          queue.idleThreads--;
          queue.wakeups = Math.max(0, queue.wakeups - 1);
          continue;
        }
        if (queue.hasWork()) {
          wake(queue);
        }
        wakeTimerBy(fetch.startedNanos + options.attemptDeadline().toNanos());
        lock.leave();
        try {
          if (buffer.capacity() < fetch.bytes()) {
            buffer = ByteBuffer.allocateDirect(Fetch.MAX_BYTES);
          }
          run(fetch, buffer);
          letGoUnused(fetch);
        } catch (RuntimeException | Error e) {
          // A defect, or no memory: whoever waits must not wait for ever.
          LOG.log(Level.ERROR, "a fetch ended unexpectedly", e);
          failed(fetch, e, false);
        } finally {
          lock.enter();
        }
        if (fetch.abandoned) {
          queue.lostThreads--;
          replaced = true;
          // Fill waits for this.
          wake(queue);
        }
      }
    } catch (InterruptedException e) {
      LOG.log(Level.ERROR, "nobody may interrupt a fetch thread", e);
    } finally {
      queue.threads--;
      lock.leave();
    }
  }

  /// Runs one fetch of an origin in the calling thread; false if there is none.
  boolean step(String origin, ByteBuffer buffer) {
    FetchQueue queue = queues.get(origin);
    @Nullable Fetch fetch = null;
    lock.enter();
    try {
      fetch = queue == null ? null : queue.next(clock.nanos());
    } finally {
      lock.leave();
    }
    if (fetch != null) {
      run(fetch, buffer);
    }
    return fetch != null;
  }

  /// An image may have been left by its last VM while it was being filled.
  private void letGoUnused(Fetch fetch) {
    boolean unused;
    lock.enter();
    try {
      unused = fetch.fills && fetch.space.attachments == 0;
    } finally {
      lock.leave();
    }
    if (unused) {
      letGo.run();
    }
  }

  private void run(Fetch fetch, ByteBuffer buffer) {
    Room room = new Room(fetch);
    if (!fetch.isDemand()) {
      room.reserve(fetch.mask());
      if (room.all() != fetch.mask() && !shrink(fetch, Integer.bitCount(room.all()))) {
        return;
      }
    }
    buffer.clear().limit(fetch.bytes());
    boolean answered = false;
    try {
      fetch.space.image.read(fetch.offset(), buffer);
      answered = true;
      requireUnchanged(fetch.space);
    } catch (IOException e) {
      room.release(room.all());
      failed(fetch, e, !answered);
      return;
    }
    buffer.flip();

    // Whoever waits gets the bytes first; keeping them comes after that.
    int wanted = 0;
    List<Fetch.Waiter> waiters = List.of();
    lock.enter();
    try {
      fetch.space.queue.arrived(fetch, buffer.limit(), clock.nanos());
      if (!fetch.abandoned) {
        waiters = fetch.takeWaiters();
        wanted = wanted(fetch);
      }
      if (fetch.space.queue.hasWork()) {
        wake(fetch.space.queue);
      }
    } finally {
      lock.leave();
    }
    deliver(fetch, waiters, buffer);

    room.release(room.all() & ~wanted);
    room.reserve(wanted & ~room.all());
    keep(fetch, room, buffer);

    List<Surplus> surplus = new ArrayList<>();
    lock.enter();
    try {
      for (int i = 0; i < fetch.count; i++) {
        Shelf shelf = room.shelfOf(i);
        land(fetch, fetch.first + i, shelf);
        if (shelf != null) {
          takeSurplus(fetch.space, fetch.first + i, shelf, surplus);
        }
      }
      fetch.space.queue.over(fetch);
      waiters = fetch.takeWaiters();
      if (fetch.space.queue.hasWork()) {
        wake(fetch.space.queue);
      }
    } finally {
      lock.leave();
    }
    deliver(fetch, waiters, buffer);
    for (Surplus one : surplus) {
      one.shelf.tier().removed(one.shelf.file(), one.extent);
      one.shelf.file().erase(one.extent);
    }
  }

  /// An extent that lies in another tier, too.
  private record Surplus(Shelf shelf, int extent) {}

  /// Of two fetches of an extent, one of which was given up for hung, each may have put it into
  /// another tier: the later one stays.
  private static void takeSurplus(BlockSpace space, int extent, Shelf kept, List<Surplus> surplus) {
    for (Shelf shelf : space.shelves) {
      if (!shelf.equals(kept) && shelf.file().resident.clear(extent)) {
        surplus.add(new Surplus(shelf, extent));
      }
    }
  }

  /// What was just read is the image's only if the image is still what it was when it was opened.
  private void requireUnchanged(BlockSpace space) throws IOException {
    Image.Identity now = space.image.currentIdentity();
    if (now.to(space.image.identity()) == Image.Likeness.CHANGED) {
      String what = "was written to while VMs read it";
      refuse(space, what);
      throw new IOException("image '" + space.imageName() + "' " + what);
    }
  }

  /// What is here of an image that was touched is its bytes.
  void proven(BlockSpace space) {
    lock.enter();
    try {
      space.queue.fill.proven(space);
    } finally {
      lock.leave();
    }
  }

  /// The image is not what its VMs began to read: their reads fail, at once and from now on. Those
  /// of one that is complete go on, as they need it no more; an image that is refused never becomes
  /// complete.
  void refuse(BlockSpace space, String what) {
    String why =
        "image '"
            + space.imageName()
            + "' of origin '"
            + space.queue.origin.name()
            + "' "
            + what
            + ": its VMs get errors instead of mixed bytes; replace images by renaming, and remove and"
            + " add these VMs";
    List<PendingRead> reads;
    lock.enter();
    try {
      if (space.fill.isComplete()) {
        return;
      }
      space.refuse(why);
      reads = pending.stream().filter(read -> read.isOf(space)).toList();
      reads.forEach(pending::remove);
    } finally {
      lock.leave();
    }
    reads.forEach(read -> read.fail(why));
    trouble.report("image-changed", why);
  }

  /// The room that a fetch has taken in the tiers: for each shelf a mask of extents.
  private static final class Room {
    private final Fetch fetch;
    private final boolean expected;
    private final int[] taken;

    Room(Fetch fetch) {
      this.fetch = fetch;
      this.expected = Tiers.isExpected(fetch.lease);
      this.taken = new int[fetch.space.shelves.length];
    }

    int all() {
      int all = 0;
      for (int bits : taken) {
        all |= bits;
      }
      return all;
    }

    int on(int shelf) {
      return taken[shelf];
    }

    /// The shelf that has room for an extent, or null.
    @Nullable Shelf shelfOf(int index) {
      for (int i = 0; i < taken.length; i++) {
        if ((taken[i] & 1 << index) != 0) {
          return fetch.space.shelves[i];
        }
      }
      return null;
    }

    /// Takes room for extents, first ones first, as long as there is any.
    void reserve(int bits) {
      reserve(bits, 0);
    }

    private void reserve(int bits, int from) {
      for (int rest = bits; rest != 0; rest &= rest - 1) {
        int index = Integer.numberOfTrailingZeros(rest);
        int extent = fetch.first + index;
        int shelf =
            fetch.fills
                ? Tiers.reserveToFill(fetch.space, extent, from)
                : Tiers.reserve(fetch.space, extent, expected, from);
        if (shelf < 0) {
          return;
        }
        taken[shelf] |= 1 << index;
      }
    }

    void release(int bits) {
      for (int shelf = 0; shelf < taken.length; shelf++) {
        for (int rest = taken[shelf] & bits; rest != 0; rest &= rest - 1) {
          int extent = fetch.first + Integer.numberOfTrailingZeros(rest);
          fetch.space.shelves[shelf].tier().release(fetch.space.bytesOf(extent));
        }
        taken[shelf] &= ~bits;
      }
    }

    /// A shelf did not take extents: slower ones may.
    void fallBack(int shelf, int bits) {
      release(bits);
      reserve(bits, shelf + 1);
    }
  }

  /// Writes extents to the tiers that have room for them. Afterwards there is room for those that
  /// can be read there.
  private static void keep(Fetch fetch, Room room, ByteBuffer buffer) {
    for (int shelf = 0; shelf < fetch.space.shelves.length; shelf++) {
      TierFile file = fetch.space.shelves[shelf].file();
      setArriving(fetch, file, room.on(shelf), true);
      int unkept = keep(fetch, fetch.space.shelves[shelf], room.on(shelf), buffer);
      setArriving(fetch, file, unkept, false);
      for (int rest = unkept; rest != 0; rest &= rest - 1) {
        // Some of it may be there all the same.
        file.erase(fetch.first + Integer.numberOfTrailingZeros(rest));
      }
      room.fallBack(shelf, unkept);
    }
  }

  private static void setArriving(Fetch fetch, TierFile file, int bits, boolean arriving) {
    for (int rest = bits; rest != 0; rest &= rest - 1) {
      int extent = fetch.first + Integer.numberOfTrailingZeros(rest);
      boolean _ = arriving ? file.arriving.set(extent) : file.arriving.clear(extent);
    }
  }

  /// Writes extents to a tier; tells which of them are not there.
  private static int keep(Fetch fetch, Shelf shelf, int bits, ByteBuffer buffer) {
    int rest = bits;
    try {
      while (rest != 0) {
        int from = Integer.numberOfTrailingZeros(rest);
        int length = Integer.numberOfTrailingZeros(~(rest >>> from));
        int start = from * TierFile.EXTENT_BYTES;
        int end = Math.min(buffer.limit(), (from + length) * TierFile.EXTENT_BYTES);
        shelf.file().write(fetch.first + from, length, buffer.slice(start, end - start));
        rest &= ~(((1 << length) - 1) << from);
      }
      if (bits != 0) {
        shelf.tier().wrote();
      }
    } catch (IOException e) {
      shelf.tier().refused(shelf.file(), e);
    }
    return rest;
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
    lock.enter();
    try {
      redirect(fetch, fetch.mask() & ~((1 << count) - 1), 0, "");
      fetch.count = count;
      if (count == 0) {
        fetch.space.queue.over(fetch);
      }
    } finally {
      lock.leave();
    }
    if (tiers.accepts() && !fetch.fills) {
      trouble.report(
          "tier-full",
          "tier "
              + tiers.names()
              + " is full of extents that are staged and not used yet: staging has no room."
              + " Enlarge the tier, or lower the staging budget");
    }
    return count > 0;
  }

  /// @param byOrigin true if the read failed; false if it succeeded and its bytes cannot be used,
  ///   or if the failure is ours
  private void failed(Fetch fetch, Throwable e, boolean byOrigin) {
    FetchQueue queue = fetch.space.queue;
    boolean stopping;
    boolean down = false;
    lock.enter();
    try {
      stopping = closed;
      if (!fetch.abandoned) {
        down = byOrigin && countFailure(queue, clock.nanos());
        int shift = Math.min(fetch.attempt, LARGEST_RETRY_SHIFT);
        redirect(
            fetch,
            fetch.mask(),
            Math.min(FIRST_RETRY_NANOS << shift, LONGEST_RETRY_NANOS),
            IoProblem.explain(e));
        queue.over(fetch);
        if (fetch.fills) {
          queue.fill.failed(fetch.space, clock.nanos());
        }
      }
      if (queue.hasWork()) {
        wake(queue);
      }
    } finally {
      lock.leave();
    }
    if (stopping) {
      return;
    }
    queue.errors.increment();
    reportError(fetch, e);
    if (down) {
      reportDown(queue);
    }
  }

  private void reportError(Fetch fetch, Throwable e) {
    trouble.report(
        "origin-error",
        "origin '"
            + fetch.space.queue.origin.name()
            + "' fails to read image '"
            + fetch.space.imageName()
            + "' ("
            + e.getMessage()
            + "); demand tries again for "
            + options.readDeadline().toSeconds()
            + " s, staging "
            + (options.fill().isOn() ? "and fill give up" : "gives up"));
  }

  /// Counts a read that failed or was not answered in time. If that opens the breaker, leases that
  /// are queued fail.
  ///
  /// @return whether the breaker opened
  private boolean countFailure(FetchQueue queue, long nowNanos) {
    boolean opened = queue.breaker.failed(nowNanos);
    if (opened) {
      queue.failStaging(lock.book());
    }
    return opened;
  }

  private void reportDown(FetchQueue queue) {
    trouble.report(
        "origin-down",
        "origin '"
            + queue.origin.name()
            + "' failed "
            + Breaker.FAILURES
            + " times in a row: until it answers, leases on it fail at once, except for a try from"
            + " time to time; guests' reads go on");
  }

  /// Some extents of a fetch do not come. Leases that want them have failed, except where it was a
  /// fill that they had joined; demand that waits for them gets a fetch of its own.
  ///
  /// @param why what the origin said, or empty if it said nothing
  private void redirect(Fetch fetch, int bits, long delayNanos, String why) {
    BlockSpace space = fetch.space;
    for (int rest = bits; rest != 0; rest &= rest - 1) {
      int extent = fetch.first + Integer.numberOfTrailingZeros(rest);
      if (fetch.fills && !fetch.isDemanded(extent)) {
        space.flights.remove(extent, fetch);
        lock.book().leaveFill(space, extent);
      } else {
        land(fetch, extent, null);
      }
    }
    if (space.queue.hasWork()) {
      wake(space.queue);
    }
    List<Fetch.Waiter> waiting = new ArrayList<>();
    int demanded = 0;
    for (Fetch.Waiter waiter : fetch.takeWaiters()) {
      waiter.read().sawError(why);
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
    // This one does not bring them any more.
    fetch.demanded &= ~bits;
    if (demanded == 0) {
      return;
    }
    int from = Integer.numberOfTrailingZeros(demanded);
    int to = Integer.SIZE - Integer.numberOfLeadingZeros(demanded);
    var next = new Fetch(space, fetch.first + from, to - from, null, fetch.attempt + 1);
    next.vm = waiting.getFirst().read().vm();
    waiting.forEach(w -> next.join(new Fetch.Waiter(w.read(), w.extents() >>> from)));
    fly(next);
    if (delayNanos > 0) {
      next.retryAtNanos = clock.nanos() + delayNanos;
      retries.add(next);
      wakeTimerBy(next.retryAtNanos);
    } else {
      space.queue.demand(next, false, clock.nanos());
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
      if (LeaseBook.owner(fetch.space, fetch.first + i) != null) {
        wanted |= 1 << i;
      }
    }
    return wanted;
  }

  /// An extent of a fetch has come, and is in a tier or is not.
  private void land(Fetch fetch, int extent, @Nullable Shelf shelf) {
    BlockSpace space = fetch.space;
    space.flights.remove(extent, fetch);
    boolean wanted =
        !fetch.fills || fetch.isDemanded(extent) || lock.book().isWanted(space, extent);
    boolean staged = lock.book().land(space, extent, fetch.lease, shelf != null);
    if (shelf != null) {
      if (staged) {
        space.pinned.set(extent);
      }
      if (fetch.isDemanded(extent)) {
        touch(shelf.file(), extent);
      }
      if (shelf.file().resident.set(extent)) {
        shelf.tier().landed(shelf.file(), extent, passage(fetch));
        space.queue.fill.landed(space, space.bytesOf(extent), wanted, clock.nanos());
      } else {
        shelf.tier().release(space.bytesOf(extent));
      }
      boolean _ = shelf.file().arriving.clear(extent);
    } else if (fetch.demanded != 0) {
      space.gone.set(extent);
      lock.setNews();
    }
  }

  private static Passage passage(Fetch fetch) {
    if (fetch.fills) {
      return Passage.FILLED;
    }
    return fetch.lease == null ? Passage.DEMANDED : Passage.STAGED;
  }

  private void touch(TierFile file, int extent) {
    Touches touches = file.touches;
    if (touches != null) {
      touches.touch(extent, clock.nanos());
    }
  }

  // ---- time

  private void wakeTimerBy(long nanos) {
    if (nanos < timerWakesAtNanos) {
      timerWork.signal();
    }
  }

  private void keepTime() {
    lock.enter();
    try {
      while (!closed) {
        timerWakesAtNanos = Long.MIN_VALUE;
        long now = clock.nanos();
        startRetries(now);
        List<PendingRead> expired = takeExpired(now);
        List<FetchQueue> down = new ArrayList<>();
        List<Fetch> hung = abandonHung(now, down);
        List<String> lines = lookForFill(now);
        if (!expired.isEmpty() || !hung.isEmpty() || !lines.isEmpty()) {
          lock.leave();
          try {
            lines.forEach(line -> LOG.log(Level.INFO, line));
            tell(expired, hung);
            down.forEach(this::reportDown);
          } finally {
            lock.enter();
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
      lock.leave();
    }
  }

  private void startRetries(long now) {
    while (!retries.isEmpty() && retries.element().retryAtNanos <= now) {
      Fetch fetch = retries.remove();
      if (fetch.isAwaited()) {
        fetch.space.queue.demand(fetch, false, now);
        wake(fetch.space.queue);
      } else {
        for (int i = 0; i < fetch.count; i++) {
          fetch.space.flights.remove(fetch.first + i, fetch);
        }
      }
    }
  }

  /// Nothing else may happen that would have a thread look.
  private List<String> lookForFill(long now) {
    List<String> lines = new ArrayList<>();
    for (FetchQueue queue : queues.values()) {
      lines.addAll(queue.fill.takeLines());
      if (queue.fill.lookAtNanos() <= now) {
        queue.fill.looks(wake(queue), now);
      }
    }
    return lines;
  }

  private List<PendingRead> takeExpired(long now) {
    List<PendingRead> expired = new ArrayList<>();
    while (!pending.isEmpty()
        && pending.getFirst().arrivedNanos() + options.readDeadline().toNanos() <= now) {
      expired.add(pending.removeFirst());
    }
    return expired;
  }

  /// @param down gets the queues whose breaker opened
  private List<Fetch> abandonHung(long now, List<FetchQueue> down) {
    List<Fetch> hung = new ArrayList<>();
    for (FetchQueue queue : queues.values()) {
      while (!queue.running.isEmpty()
          && queue.lostThreads < MOST_LOST_THREADS
          && queue.running.getFirst().startedNanos + options.attemptDeadline().toNanos() <= now) {
        Fetch fetch = queue.running.getFirst();
        fetch.abandoned = true;
        queue.lostThreads++;
        queue.errors.increment();
        if (countFailure(queue, now)) {
          down.add(queue);
        }
        queue.over(fetch);
        redirect(fetch, fetch.mask(), 0, "");
        if (fetch.fills) {
          queue.fill.failed(fetch.space, now);
        }
        hung.add(fetch);
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
      String last = read.lastError();
      String why =
          last.isEmpty()
              ? "the origin did not answer within " + options.readDeadline().toMillis() + " ms"
              : "the origin failed for " + options.readDeadline().toMillis() + " ms: " + last;
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
      next = Math.min(next, queue.fill.lookAtNanos());
      if (!queue.running.isEmpty() && queue.lostThreads < MOST_LOST_THREADS) {
        next =
            Math.min(
                next, queue.running.getFirst().startedNanos + options.attemptDeadline().toNanos());
      }
    }
    return next;
  }

  /// How many reads wait for an origin.
  int pendingReads() {
    lock.enter();
    try {
      return pending.size();
    } finally {
      lock.leave();
    }
  }

  /// Reads that wait fail; fetches under way are waited for, unless they hang.
  void close() {
    List<PendingRead> waiting;
    List<Thread> running;
    lock.enter();
    try {
      closed = true;
      waiting = List.copyOf(pending);
      pending.clear();
      running = List.copyOf(threads);
      timerWork.signalAll();
      queues.values().forEach(queue -> queue.work.signalAll());
    } finally {
      lock.leave();
    }
    waiting.forEach(read -> read.fail("the data plane is stopping"));
    queues.values().forEach(queue -> queue.origin.close());
    long deadline = System.nanoTime() + CLOSE_NANOS;
    for (Thread thread : running) {
      joinUntil(thread, deadline);
    }
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
