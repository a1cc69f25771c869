package dev.prestage.dataplane.block;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.PriorityQueue;
import java.util.Queue;
import java.util.SequencedSet;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.Condition;
import org.jspecify.annotations.Nullable;

/// What is to be fetched from one origin, and by how many threads: demand in the order of its
/// arrival, then leases by due time. Guarded by the [BlockStager]'s lock, except for the counters.
final class FetchQueue {
  final Origin origin;
  final Opener opener;
  final Deque<Fetch> demand = new ArrayDeque<>();

  /// Fetches that are under way, oldest first.
  final SequencedSet<Fetch> running = new LinkedHashSet<>();

  final Condition work;
  final LongAdder fetches = new LongAdder();
  final LongAdder fetchedBytes = new LongAdder();
  final LongAdder errors = new LongAdder();

  int threads;
  int idleThreads;
  int wakeups;

  /// Threads that are stuck in an abandoned fetch, and have been replaced.
  int lostThreads;

  private final Queue<LiveLease> staging = new PriorityQueue<>();
  private final int stagingLimit;
  private final StagingWindow window = new StagingWindow();
  private int stagingRunning;
  private long stagingBytes;

  FetchQueue(Origin origin, int stagingLimit, Condition work) {
    this.origin = origin;
    this.opener = new Opener(origin);
    this.stagingLimit = stagingLimit;
    this.work = work;
  }

  void stage(LiveLease lease) {
    if (!lease.inQueue) {
      lease.inQueue = true;
      staging.add(lease);
    }
  }

  /// Takes what is to be fetched now, or null if that is nothing.
  @Nullable Fetch next(long nowNanos) {
    Fetch fetch = demand.poll();
    if (fetch == null) {
      fetch = nextStaging();
    }
    if (fetch != null) {
      fetch.startedNanos = nowNanos;
      fetch.movedBefore = window.begin();
      running.add(fetch);
      if (fetch.lease != null) {
        fetch.bookedBytes = fetch.bytes();
        stagingRunning++;
        stagingBytes += fetch.bookedBytes;
      }
    }
    return fetch;
  }

  private @Nullable Fetch nextStaging() {
    if (!mayStage()) {
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
    long bits = ((1L << length) - 1) << start;
    lease.queued &= ~bits;
    lease.inFlight |= bits;
    var fetch = new Fetch(lease.space, lease.extent(start), length, lease, 0);
    for (int i = 0; i < length; i++) {
      lease.space.flights.put(fetch.first + i, fetch);
    }
    return fetch;
  }

  private boolean mayStage() {
    while (!staging.isEmpty() && staging.element().queued == 0) {
      staging.remove().inQueue = false;
    }
    return !staging.isEmpty() && stagingRunning < stagingLimit && stagingBytes < window.bytes();
  }

  boolean hasWork() {
    return !demand.isEmpty() || mayStage();
  }

  /// A fetch has brought its bytes.
  void moved(Fetch fetch, int bytes, long nowNanos) {
    window.end(fetch.movedBefore, bytes, fetch.startedNanos, nowNanos);
    fetches.increment();
    fetchedBytes.add(bytes);
  }

  /// A fetch is over, whatever became of it.
  void over(Fetch fetch) {
    if (running.remove(fetch) && fetch.lease != null) {
      stagingRunning--;
      stagingBytes -= fetch.bookedBytes;
    }
  }
}
