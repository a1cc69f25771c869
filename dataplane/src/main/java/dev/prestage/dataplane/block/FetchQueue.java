package dev.prestage.dataplane.block;

import dev.prestage.dataplane.bandwidth.Link;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.Queue;
import java.util.SequencedSet;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.Condition;
import org.jspecify.annotations.Nullable;

/// What is to be fetched from one origin, and by how many threads: demand in the order of its
/// arrival, or in that of the [Link] where that is scheduled, then leases by due time, then what
/// nobody asked for. Guarded by the [BlockStager]'s lock, except for the counters.
final class FetchQueue {
  final Origin origin;
  final Opener opener;
  private final Link link;

  /// Demand that came while the link was not scheduled.
  private final Deque<Fetch> demand = new ArrayDeque<>();

  /// Demand that came while it was, by VM.
  private final Map<String, Deque<Fetch>> scheduled = new LinkedHashMap<>();

  /// Fetches that are under way, oldest first.
  final SequencedSet<Fetch> running = new LinkedHashSet<>();

  final Condition work;
  final LongAdder fetches = new LongAdder();
  final LongAdder fetchedBytes = new LongAdder();
  final LongAdder errors = new LongAdder();
  final LongAdder fetchesForDemand = new LongAdder();
  final LongAdder fetchesBehindStaging = new LongAdder();

  /// What goes behind demand and leases.
  final Fill fill;

  final Breaker breaker = new Breaker();

  int threads;
  int idleThreads;
  int wakeups;

  /// Threads that are stuck in an abandoned fetch, and have been replaced.
  int lostThreads;

  private final Queue<LiveLease> staging = new PriorityQueue<>();
  private final BlockOptions options;
  private final StagingWindow window = new StagingWindow();
  private int stagingRunning;
  private long stagingBytes;
  private long demandBytes;

  /// What a fill under way counts for, apart from staging, which does not wait for it.
  private long fillBytes;

  private boolean fillReads;

  /// Fetches under way that have their bytes and write them to a tier.
  private int writing;

  private long waitNanos;
  private boolean paces;

  FetchQueue(Origin origin, Link link, BlockOptions options, Condition work) {
    this.origin = origin;
    this.link = link;
    this.opener = new Opener(origin);
    this.fill = new Fill(origin.name(), options.fill());
    this.options = options;
    this.work = work;
  }

  void stage(LiveLease lease) {
    if (!lease.inQueue) {
      lease.inQueue = true;
      staging.add(lease);
    }
  }

  /// What is queued for leases fails.
  void failStaging(LeaseBook book) {
    for (LiveLease lease = staging.poll(); lease != null; lease = staging.poll()) {
      lease.inQueue = false;
      // Another lease that has joined one of its extents may be queued by this.
      book.failQueued(lease);
    }
  }

  /// A demand fetch waits.
  ///
  /// @param fresh whether a guest asked for it now, and not for another attempt
  void demand(Fetch fetch, boolean fresh, long nowNanos) {
    if (link.isScheduled()) {
      link.waits(fetch.vm, fetch.bytes(), fresh, nowNanos);
      scheduled.computeIfAbsent(fetch.vm, _ -> new ArrayDeque<>()).add(fetch);
    } else {
      demand.add(fetch);
    }
  }

  /// Takes what is to be fetched now, or null if that is nothing.
  @Nullable Fetch next(long nowNanos) {
    waitNanos = 0;
    if (!mayRead()) {
      return null;
    }
    Fetch fetch = nextDemand(nowNanos);
    if (fetch == null) {
      fetch = nextStaging(nowNanos);
    }
    if (fetch == null) {
      fetch = nextFill(nowNanos);
    }
    if (fetch != null) {
      fetch.startedNanos = nowNanos;
      fetch.movedBefore = window.begin();
      fetch.bookedBytes = fetch.bytes();
      running.add(fetch);
      if (fetch.isDemand()) {
        demandBytes += fetch.bookedBytes;
        fetchesForDemand.increment();
        if (fetch.behindStaging) {
          fetchesBehindStaging.increment();
        }
      } else if (fetch.fills) {
        fillBytes += fetch.bookedBytes;
        fillReads = true;
      } else {
        stagingRunning++;
        stagingBytes += fetch.bookedBytes;
      }
    }
    return fetch;
  }

  private @Nullable Fetch nextDemand(long nowNanos) {
    Fetch fetch = demand.poll();
    if (fetch != null || scheduled.isEmpty()) {
      return fetch;
    }
    if (!link.isScheduled()) {
      String vm = scheduled.keySet().iterator().next();
      link.leaves(vm);
      return poll(vm);
    }
    // A link is kept as full as it was measured to hold: what is under way beyond that only
    // queues, in an order that nobody chose. Where it is paced to what it moves, such a queue from
    // before it was scheduled would stand for ever.
    if (isFull()) {
      if (demandBytes < window.bytes()) {
        scheduled.values().forEach(waiting -> findsNoTurn(waiting.element()));
      }
      return null;
    }
    String vm = link.next(nowNanos);
    if (vm == null) {
      waitNanos = link.waitNanos();
      return null;
    }
    Fetch next = poll(vm);
    link.take(vm, next.bytes(), nowNanos);
    return next;
  }

  /// A demand fetch cannot begin now.
  void findsNoTurn(Fetch fetch) {
    fetch.behindStaging |= stagingRunning > 0 || fillBytes > 0;
  }

  private Fetch poll(String vm) {
    Deque<Fetch> waiting = Objects.requireNonNull(scheduled.get(vm));
    Fetch fetch = waiting.remove();
    if (waiting.isEmpty()) {
      scheduled.remove(vm);
    }
    return fetch;
  }

  /// How long a thread that found nothing may sleep; 0 until it is woken. One thread at a time
  /// keeps the link's time.
  long beginSleep() {
    if (waitNanos <= 0 || paces) {
      return 0;
    }
    paces = true;
    return waitNanos;
  }

  /// A thread woke up.
  ///
  /// @param nanos what [#beginSleep] said to it
  void endSleep(long nanos) {
    if (nanos > 0) {
      paces = false;
    }
  }

  private @Nullable Fetch nextStaging(long nowNanos) {
    if (!mayStage() || !linkMayStage(nowNanos)) {
      return null;
    }
    LiveLease lease = staging.peek();
    if (lease == null || lease.space == null) {
      return null;
    }
    int start = Long.numberOfTrailingZeros(lease.queued);
    int length = Long.numberOfTrailingZeros(~(lease.queued >>> start));
    long room = window.bytes() - stagingBytes;
    length = Math.min(length, Fetch.MAX_EXTENTS);
    length = Math.clamp(room / TierFile.EXTENT_BYTES, 1, length);
    if (link.isScheduled()) {
      // Demand comes back within one fetch, so it is a short one.
      length = 1;
    }
    long bits = ((1L << length) - 1) << start;
    lease.queued &= ~bits;
    lease.inFlight |= bits;
    var fetch = new Fetch(lease.space, lease.extent(start), length, lease, 0);
    for (int i = 0; i < length; i++) {
      lease.space.flights.put(fetch.first + i, fetch);
    }
    if (link.isScheduled()) {
      link.takeStaging(fetch.bytes(), nowNanos);
    }
    return fetch;
  }

  /// One at a time, and only while neither demand nor a lease waits and the link has room.
  private @Nullable Fetch nextFill(long nowNanos) {
    // While its threads hang, the origin is asked for nothing that nobody wants.
    boolean free =
        lostThreads == 0 && demand.isEmpty() && scheduled.isEmpty() && !hasStaging() && !isFull();
    if (!free || !fill.mayBegin(nowNanos) || !linkMayStage(nowNanos)) {
      return null;
    }
    // A quarter of what the link holds: what is wanted the next moment waits no longer for it.
    long room = Math.min(window.bytes() - demandBytes - stagingBytes, window.bytes() / 4);
    room /= TierFile.EXTENT_BYTES;
    int most = link.isScheduled() ? 1 : Math.clamp(room, 1, Fetch.MAX_EXTENTS);
    Fetch fetch = fill.next(most, nowNanos);
    if (fetch != null && link.isScheduled()) {
      link.takeStaging(fetch.bytes(), nowNanos);
    }
    return fetch;
  }

  private boolean linkMayStage(long nowNanos) {
    if (!link.isScheduled()) {
      return true;
    }
    long demandWaits = waitNanos;
    boolean may = !isFull() && link.mayStage(nowNanos);
    if (!may) {
      long wait = link.waitNanos();
      waitNanos = demandWaits > 0 ? Math.min(demandWaits, Math.max(1, wait)) : wait;
    }
    return may;
  }

  private boolean isFull() {
    return demandBytes + stagingBytes + fillBytes >= window.bytes();
  }

  private boolean hasStaging() {
    while (!staging.isEmpty() && staging.element().queued == 0) {
      staging.remove().inQueue = false;
    }
    return !staging.isEmpty();
  }

  private boolean mayStage() {
    return hasStaging()
        && stagingRunning < options.stagingFetches()
        && stagingBytes < window.bytes();
  }

  boolean hasWork() {
    return !demand.isEmpty() || !scheduled.isEmpty() || mayStage();
  }

  /// A fetch has brought its bytes; they are not in a tier yet.
  void arrived(Fetch fetch, int bytes, long nowNanos) {
    window.end(fetch.movedBefore, bytes, fetch.startedNanos, nowNanos);
    link.measured(window.bytesPerSecond());
    fetches.increment();
    fetchedBytes.add(bytes);
    fetch.arrived = true;
    breaker.arrived();
    if (fetch.fills) {
      fill.arrived(fetch.space);
    }
    if (running.contains(fetch)) {
      if (fetch.fills) {
        fillReads = false;
      }
      writing++;
      if (fetch.isDemand()) {
        demandBytes -= fetch.bookedBytes;
      }
    }
  }

  /// Whether the origin may get one request more.
  boolean mayRead() {
    int limit = options.stagingFetches() + options.demandFetches();
    return running.size() - writing < limit + (fillReads ? 1 : 0);
  }

  /// A fetch is over, whatever became of it.
  void over(Fetch fetch) {
    if (!running.remove(fetch)) {
      return;
    }
    if (fetch.arrived) {
      writing--;
    }
    if (fetch.fills) {
      fill.over();
      fillBytes -= fetch.bookedBytes;
      fillReads = false;
    } else if (!fetch.isDemand()) {
      stagingRunning--;
      stagingBytes -= fetch.bookedBytes;
    } else if (!fetch.arrived) {
      demandBytes -= fetch.bookedBytes;
    }
  }
}
