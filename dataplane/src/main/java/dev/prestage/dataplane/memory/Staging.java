package dev.prestage.dataplane.memory;

import dev.prestage.dataplane.edge.Edge;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.stage.Stager;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.PriorityQueue;
import java.util.SequencedSet;
import java.util.TreeMap;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// The account of the leases on pages, and the threads that read what these ask for.
///
/// While the VM is not there yet, what is read waits in the system's page cache and counts as
/// ready; when the VM comes it is filled in. A page that was filled in never faults, so that its
/// use cannot be seen: it ends as unobserved at once. Each unit of a lease ends exactly once.
final class Staging implements Stager, AutoCloseable {
  /// Reading from page cache and disk at once; more would only compete with the faults.
  private static final int READERS = 2;

  /// Reading at once where a read takes longer than a disk's, so that it is a round trip that is
  /// waited for: 16 reads of 64 KiB that take 10 ms each are 100 MiB/s.
  private static final int FAR_READERS = 16;

  /// A read of this time is far: local disks take a tenth of it for 64 KiB.
  private static final long FAR_NANOS = 2_000_000;

  /// Ranges whose pages are asked for before the first of them is read, so that a disk has some to
  /// choose from: 2 MiB in leases of 16, of the 16 MiB that the planner lets be in flight.
  private static final int ADVISED = 32;

  /// Buffers of a lease each: 8 MiB in all, two for each that reads.
  private static final int BUFFERS = 32;

  private static final int BUFFER_BYTES = Lease.MAX_UNITS * Regions.PAGE;

  private final Host host;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition work = lock.newCondition();
  private final Arena arena = Arena.ofShared();
  private final BlockingQueue<MemorySegment> buffers = new ArrayBlockingQueue<>(BUFFERS);
  private final List<Thread> readers = new ArrayList<>();

  // Guarded by the lock.
  private final Map<Integer, Target> endpoints = new HashMap<>();
  private final Map<Long, Live> leases = new HashMap<>();
  private final Map<Target, NavigableMap<Place, Live>> byPlace = new HashMap<>();
  private final PriorityQueue<Live> queue =
      new PriorityQueue<>(
          Comparator.comparingLong((Live live) -> live.lease.dueNanos())
              .thenComparingLong(live -> live.lease.id()));
  private final SequencedSet<Live> changed = new LinkedHashSet<>();
  private final List<Gone> gone = new ArrayList<>();
  private boolean closed;
  private long readNanos;

  Staging(Host host) {
    this.host = host;
    for (int i = 0; i < BUFFERS; i++) {
      buffers.add(arena.allocate(BUFFER_BYTES, Regions.PAGE));
    }
    for (int i = 0; i < FAR_READERS; i++) {
      int number = i;
      readers.add(
          Thread.ofPlatform().daemon().name("memory-read-" + i).start(() -> readAll(number)));
    }
  }

  private record Place(long first, long lease) implements Comparable<Place> {
    @Override
    public int compareTo(Place other) {
      int order = Long.compare(first, other.first);
      return order == 0 ? Long.compare(lease, other.lease) : order;
    }
  }

  private record Gone(int space, long first, int units) {}

  /// A lease that has not ended. Guarded by the lock.
  static final class Live {
    private final Lease lease;
    private final @Nullable Target endpoint;
    private boolean queued;
    private long ready;
    private long useful;
    private long late;
    private long unused;
    private long redundant;
    private long failed;
    private long cancelled;
    private long unobserved;
    private long readyNanos;
    private long leadNanos;

    private Live(Lease lease, @Nullable Target endpoint) {
      this.lease = lease;
      this.endpoint = endpoint;
    }

    long first() {
      return lease.first();
    }

    int units() {
      return lease.units();
    }

    private long open() {
      return lease.mask() & ~state().ended();
    }

    private long waiting() {
      return open() & ~ready;
    }

    private long idle() {
      return open() & ready;
    }

    private LeaseState state() {
      return new LeaseState(
          lease.id(),
          ready,
          useful,
          late,
          unused,
          redundant,
          failed,
          cancelled,
          unobserved,
          leadNanos);
    }
  }

  // ---- bindings

  /// Leases for this endpoint may come.
  void add(Target endpoint) {
    lock.lock();
    try {
      endpoints.put(endpoint.binding(), endpoint);
      byPlace.put(endpoint, new TreeMap<>());
    } finally {
      lock.unlock();
    }
  }

  /// An endpoint goes, or gets other numbers: leases for it end.
  void remove(Target endpoint) {
    lock.lock();
    try {
      if (endpoints.remove(endpoint.binding(), endpoint)) {
        leasesOf(live -> live.endpoint == endpoint).forEach(this::giveBack);
        byPlace.remove(endpoint);
      }
    } finally {
      lock.unlock();
    }
  }

  boolean serves(int space) {
    lock.lock();
    try {
      return endpoints.values().stream().anyMatch(endpoint -> endpoint.space() == space);
    } finally {
      lock.unlock();
    }
  }

  private List<Live> leasesOf(Predicate<Live> which) {
    return leases.values().stream().filter(which).toList();
  }

  /// A VM begins with no page of a snapshot: what other VMs had is not there for this one. What
  /// stands ready for it is filled in.
  void began(Target endpoint) {
    lock.lock();
    try {
      forgetReady(endpoint);
      for (Live live : leasesOf(live -> live.endpoint == endpoint && live.open() != 0)) {
        enqueue(live);
      }
    } finally {
      lock.unlock();
    }
  }

  /// A VM is gone, and all its pages are.
  void ended(Target endpoint) {
    lock.lock();
    try {
      forgetReady(endpoint);
    } finally {
      lock.unlock();
    }
  }

  private void forgetReady(Target endpoint) {
    gone.add(new Gone(endpoint.space(), 0, (int) (endpoint.sizeBytes() / Regions.PAGE)));
    host.doorbell().ring();
  }

  /// Pages have left the page cache.
  void evicted(Target endpoint, BitSet pages) {
    lock.lock();
    try {
      for (int first = pages.nextSetBit(0); first >= 0; ) {
        int end = pages.nextClearBit(first);
        gone.add(new Gone(endpoint.space(), first, end - first));
        first = pages.nextSetBit(end);
      }
      host.doorbell().ring();
    } finally {
      lock.unlock();
    }
  }

  /// The pages that stand ready in the page cache for VMs that are not there yet.
  BitSet ready(int space) {
    BitSet ready = new BitSet();
    lock.lock();
    try {
      for (Live live : leases.values()) {
        for (long left = live.lease.space() == space ? live.idle() : 0;
            left != 0;
            left &= left - 1) {
          ready.set((int) live.first() + Long.numberOfTrailingZeros(left));
        }
      }
    } finally {
      lock.unlock();
    }
    return ready;
  }

  // ---- demand

  /// A VM has touched pages that were missing, which have been filled by now.
  ///
  /// @param wasReady learns which of them stood ready in the page cache
  void demanded(Target endpoint, long[] pages, int count, boolean[] wasReady) {
    lock.lock();
    try {
      NavigableMap<Place, Live> places = byPlace.get(endpoint);
      for (int i = 0; i < count; i++) {
        wasReady[i] = false;
        if (places != null && !places.isEmpty()) {
          wasReady[i] = demanded(places, pages[i]);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private boolean demanded(NavigableMap<Place, Live> places, long page) {
    boolean ready = false;
    var from = new Place(page - Lease.MAX_UNITS + 1, Long.MIN_VALUE);
    var to = new Place(page, Long.MAX_VALUE);
    for (Live live : List.copyOf(places.subMap(from, true, to, true).values())) {
      long index = page - live.first();
      long bit = index < live.units() ? 1L << index : 0;
      if ((live.idle() & bit) != 0) {
        ready = true;
        live.useful |= bit;
        live.leadNanos += Math.max(0, host.clock().nanos() - live.readyNanos);
        touched(live);
      } else if ((live.waiting() & bit) != 0) {
        live.late |= bit;
        touched(live);
      }
    }
    return ready;
  }

  private void touched(Live live) {
    changed.add(live);
    if (live.open() == 0) {
      leases.remove(live.lease.id());
      NavigableMap<Place, Live> places = live.endpoint == null ? null : byPlace.get(live.endpoint);
      if (places != null) {
        places.remove(new Place(live.first(), live.lease.id()));
      }
    }
    host.doorbell().ring();
  }

  /// The lease of which a page is that a guest waits for and that was not filled in yet, so that
  /// its neighbours come with it; null if there is none.
  @Nullable Live leaseOf(Target endpoint, long page) {
    lock.lock();
    try {
      NavigableMap<Place, Live> places = byPlace.get(endpoint);
      if (places == null || places.isEmpty()) {
        return null;
      }
      var from = new Place(page - Lease.MAX_UNITS + 1, Long.MIN_VALUE);
      var to = new Place(page, Long.MAX_VALUE);
      for (Live live : places.subMap(from, true, to, true).values()) {
        long index = page - live.first();
        if (index < live.units() && (live.open() & 1L << index) != 0) {
          return live;
        }
      }
      return null;
    } finally {
      lock.unlock();
    }
  }

  // ---- what page servers say

  /// The units of a lease that may still be filled in, as bits.
  long open(Live live) {
    lock.lock();
    try {
      return live.open();
    } finally {
      lock.unlock();
    }
  }

  /// What became of units of a lease.
  void filled(Live live, long filled, long there, long calledOff, long failed) {
    lock.lock();
    try {
      long open = live.open();
      live.ready |= filled & open;
      live.unobserved |= filled & open;
      // A page that was there when its neighbours were filled may have been given back since.
      live.redundant |= there & live.open();
      live.cancelled |= calledOff & live.open();
      live.failed |= failed & live.open();
      touched(live);
    } finally {
      lock.unlock();
    }
  }

  /// A chunk's buffer is free.
  void giveBack(Chunk chunk) {
    buffers.add(chunk.bytes());
  }

  // ---- leases

  @Override
  public void stage(Lease lease) {
    lock.lock();
    try {
      if (leases.containsKey(lease.id())) {
        return;
      }
      Target endpoint = endpoints.get(lease.binding());
      if (endpoint != null && endpoint.space() != lease.space()) {
        endpoint = null;
      }
      Live live = new Live(lease, endpoint);
      leases.put(lease.id(), live);
      long units = endpoint == null ? 0 : endpoint.sizeBytes() / Regions.PAGE - lease.first();
      if (units < lease.units()) {
        live.failed = units <= 0 ? lease.mask() : lease.mask() & (-1L << units);
        touched(live);
      }
      if (live.open() != 0 && endpoint != null) {
        byPlace
            .computeIfAbsent(endpoint, _ -> new TreeMap<>())
            .put(new Place(live.first(), lease.id()), live);
        enqueue(live);
      }
    } finally {
      lock.unlock();
    }
  }

  private void enqueue(Live live) {
    if (!live.queued) {
      live.queued = true;
      queue.add(live);
      // Of those that wait some read from far only, and one of these must not take the signal.
      work.signalAll();
    }
  }

  @Override
  public void cancel(long leaseId) {
    lock.lock();
    try {
      Live live = leases.get(leaseId);
      if (live != null) {
        live.cancelled |= live.waiting();
        touched(live);
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void reclaim(long leaseId) {
    lock.lock();
    try {
      Live live = leases.get(leaseId);
      if (live != null) {
        giveBack(live);
      }
    } finally {
      lock.unlock();
    }
  }

  /// The page cache is the system's: it drops what nobody uses.
  private void giveBack(Live live) {
    live.cancelled |= live.waiting();
    live.unused |= live.idle();
    touched(live);
  }

  void giveBackExpired(long nowNanos) {
    lock.lock();
    try {
      leasesOf(live -> live.lease.untilNanos() < nowNanos).forEach(this::giveBack);
    } finally {
      lock.unlock();
    }
  }

  // ---- reading

  private void readAll(int number) {
    try {
      while (true) {
        List<Live> next = next(number);
        if (next.isEmpty()) {
          return;
        }
        for (Live live : next) {
          long first = live.first() * Regions.PAGE;
          if (live.endpoint != null) {
            live.endpoint.expect(live.first(), live.units(), true);
          }
          source(live).willNeed(first, (long) live.units() * Regions.PAGE);
        }
        for (Live live : next) {
          read(live, buffers.take());
        }
      }
    } catch (InterruptedException _) {
      // It is closed.
    }
  }

  private boolean isFar() {
    return readNanos > FAR_NANOS;
  }

  /// What is due first; nothing when this is closed. From far only one at a time: the others that
  /// read have the next ones.
  private List<Live> next(int number) throws InterruptedException {
    List<Live> next = new ArrayList<>();
    lock.lock();
    try {
      while (next.isEmpty() && !closed) {
        while ((queue.isEmpty() || (number >= READERS && !isFar())) && !closed) {
          work.await();
        }
        int most = isFar() ? 1 : ADVISED;
        while (!queue.isEmpty() && next.size() < most && !closed) {
          Live live = queue.remove();
          live.queued = false;
          if (live.open() != 0) {
            next.add(live);
          }
        }
      }
    } finally {
      lock.unlock();
    }
    return next;
  }

  private static Snapshot source(Live live) {
    Target endpoint = live.endpoint;
    if (endpoint == null) {
      throw new IllegalStateException("a lease of no endpoint is read");
    }
    PageServer server = endpoint.server();
    return server == null ? endpoint.snapshot() : server.snapshot();
  }

  private void read(Live live, MemorySegment buffer) throws InterruptedException {
    Chunk chunk = new Chunk(live, buffer);
    Target endpoint = live.endpoint;
    boolean handedOver = false;
    if (open(live) == 0 || endpoint == null) {
      giveBack(chunk);
      return;
    }
    PageServer server = endpoint.server();
    try {
      MemorySegment bytes = buffer.asSlice(0, readable(live));
      long began = System.nanoTime();
      source(live).read(bytes, live.first() * Regions.PAGE);
      took(System.nanoTime() - began);
      handedOver = server != null && server.offer(chunk);
      if (!handedOver) {
        warmed(live);
      }
    } catch (IOException e) {
      if (server != null && endpoint.server() != server) {
        again(live); // the VM ended meanwhile, and its snapshot was closed
      } else {
        unreadable(live, e);
      }
    } finally {
      if (!handedOver) {
        giveBack(chunk);
      }
    }
  }

  /// About the last four reads say how far the snapshot is.
  private void took(long nanos) {
    lock.lock();
    try {
      boolean wasFar = isFar();
      readNanos += (nanos - readNanos) / 4;
      if (isFar() && !wasFar) {
        work.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  private void again(Live live) {
    lock.lock();
    try {
      if (live.open() != 0) {
        enqueue(live);
      }
    } finally {
      lock.unlock();
    }
  }

  /// Units beyond the end of the file have failed when they came.
  private static long readable(Live live) {
    long left = live.endpoint == null ? 0 : live.endpoint.sizeBytes() / Regions.PAGE;
    return Math.min(live.units(), left - live.first()) * Regions.PAGE;
  }

  /// The VM is not there yet, or came in this moment and has had it queued once more.
  private void warmed(Live live) {
    lock.lock();
    try {
      live.ready |= live.waiting();
      live.readyNanos = host.clock().nanos();
      if (live.endpoint != null && live.endpoint.isMapped()) {
        live.unobserved |= live.idle();
      }
      touched(live);
      if (live.endpoint != null && live.endpoint.server() != null && live.open() != 0) {
        enqueue(live);
      }
    } finally {
      lock.unlock();
    }
  }

  private void unreadable(Live live, IOException e) {
    lock.lock();
    try {
      live.failed |= live.open();
      touched(live);
    } finally {
      lock.unlock();
    }
    if (live.endpoint != null) {
      live.endpoint.expect(live.first(), live.units(), false);
    }
    host.trouble()
        .report(
            "memory-staging",
            "snapshot '" + live.endpoint + "' cannot be read ahead: " + IoProblem.explain(e));
  }

  // ---- reports

  boolean hasNews() {
    lock.lock();
    try {
      return !changed.isEmpty() || !gone.isEmpty();
    } finally {
      lock.unlock();
    }
  }

  void takeNews(Edge.News to) {
    List<LeaseState> states;
    List<Gone> spaces;
    lock.lock();
    try {
      states = changed.stream().map(Live::state).toList();
      spaces = List.copyOf(gone);
      changed.clear();
      gone.clear();
    } finally {
      lock.unlock();
    }
    // First what is gone: what became ready since then is.
    spaces.forEach(space -> to.gone(space.space(), space.first(), space.units()));
    to.changed(states);
  }

  List<Edge.Held> takeHeld() {
    lock.lock();
    try {
      SequencedSet<Live> held = new LinkedHashSet<>(changed);
      held.addAll(leases.values());
      changed.clear();
      return held.stream().map(live -> new Edge.Held(live.lease, live.state())).toList();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      work.signalAll();
    } finally {
      lock.unlock();
    }
    readers.forEach(Thread::interrupt);
  }
}
