package dev.prestage.dataplane.network;

import dev.prestage.dataplane.edge.Edge;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.stage.Stager;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.SequencedSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// The connections that are open ahead of demand, and the account of the leases that asked for
/// them. Each unit of a lease ends exactly once.
///
/// What stands ready belongs to the upstream, not to the binding of its lease: nothing was said on
/// it, so any guest of the same tenant may have it.
final class Reserve implements Stager {
  private static final Logger LOG = System.getLogger(Reserve.class.getName());

  /// The least time between two openings to one upstream: the 16 connections of the largest lease
  /// that a plan makes take a third of a second, and a server that spends 5 ms of a processor on
  /// each new connection spends a quarter of it.
  private static final Duration PACE = Duration.ofMillis(20);

  /// Openings to one upstream at a time: at the pace above, a round trip of 80 ms needs four.
  private static final int OPENING = 4;

  private final ReentrantLock lock;
  private final Host host;
  private final Map<Integer, Endpoint> endpoints = new HashMap<>();
  private final Map<Long, Live> leases = new LinkedHashMap<>();
  private final Map<Integer, Opener> openers = new HashMap<>();
  private final SequencedSet<Live> changed = new LinkedHashSet<>();
  private final List<Gone> gone = new ArrayList<>();

  /// @param lock guards this and the levels of endpoints; methods that say so need it held
  Reserve(ReentrantLock lock, Host host) {
    this.lock = lock;
    this.host = host;
  }

  /// A level that does not stand ready any more.
  private record Gone(int space, long level) {}

  private enum Stage {
    WAITING,
    OPENING,
    READY,
    ENDED
  }

  private enum Ending {
    USEFUL,
    LATE,
    UNUSED,
    REDUNDANT,
    FAILED,
    CANCELLED
  }

  /// One unit of a lease.
  private static final class Unit {
    final Live live;
    final int index;
    Stage stage = Stage.WAITING;
    long readyNanos;
    @Nullable SocketChannel channel;

    /// What a guest waits for that came while it was being opened.
    @Nullable CompletableFuture<SocketChannel> awaited;

    Unit(Live live, int index) {
      this.live = live;
      this.index = index;
    }

    long level() {
      return live.lease.first() + index;
    }

    long dueNanos() {
      return live.lease.dueNanos();
    }
  }

  /// A lease that has not ended.
  private static final class Live {
    final Lease lease;
    final List<Unit> units = new ArrayList<>();
    long ready;
    final Map<Ending, Long> ended = new EnumMap<>(Ending.class);
    long leadNanos;

    Live(Lease lease) {
      this.lease = lease;
      for (int i = 0; i < lease.units(); i++) {
        units.add(new Unit(this, i));
      }
    }

    private long ended(Ending how) {
      return ended.getOrDefault(how, 0L);
    }

    LeaseState state() {
      return new LeaseState(
          lease.id(),
          ready,
          ended(Ending.USEFUL),
          ended(Ending.LATE),
          ended(Ending.UNUSED),
          ended(Ending.REDUNDANT),
          ended(Ending.FAILED),
          ended(Ending.CANCELLED),
          leadNanos);
    }
  }

  /// What there is for a guest that connects.
  sealed interface Supply {
    /// A connection that was open already.
    ///
    /// @param said what the upstream has said on it, in a buffer of [Buffers#SMALL_BYTES]
    record Ready(SocketChannel channel, ByteBuffer said) implements Supply {}

    /// One that is being opened.
    record Coming(CompletableFuture<SocketChannel> channel) implements Supply {}

    /// Nothing.
    ///
    /// @param overtook whether demand came before an opening that a lease had asked for
    record Nothing(boolean overtook) implements Supply {}
  }

  // ---- bindings, with the lock held

  /// Leases for this endpoint may come.
  void add(Endpoint endpoint) {
    endpoints.put(endpoint.binding(), endpoint);
  }

  /// An endpoint goes, or gets other numbers: leases for it end.
  void remove(Endpoint endpoint) {
    if (endpoints.remove(endpoint.binding(), endpoint)) {
      for (Live live : leasesOf(live -> live.lease.binding() == endpoint.binding())) {
        giveBack(live);
      }
      if (!serves(endpoint.space())) {
        openers.remove(endpoint.space());
      }
    }
  }

  boolean serves(int space) {
    return endpoints.values().stream().anyMatch(endpoint -> endpoint.space() == space);
  }

  private List<Live> leasesOf(Predicate<Live> which) {
    return leases.values().stream().filter(which).toList();
  }

  private List<Unit> unitsOf(int space, Stage stage) {
    List<Unit> found = new ArrayList<>();
    for (Live live : leases.values()) {
      if (live.lease.space() == space) {
        live.units.stream().filter(unit -> unit.stage == stage).forEach(found::add);
      }
    }
    return found;
  }

  /// How many connections stand ready for an upstream.
  int ready(Endpoint endpoint) {
    return unitsOf(endpoint.space(), Stage.READY).size();
  }

  /// The levels of a space that stand ready or are in use.
  BitSet levels(int space) {
    BitSet levels = new BitSet();
    for (Unit unit : unitsOf(space, Stage.READY)) {
      levels.set((int) unit.level());
    }
    for (Endpoint endpoint : endpoints.values()) {
      if (endpoint.space() == space) {
        levels.set(0, endpoint.inUse());
      }
    }
    return levels;
  }

  // ---- demand, with the lock held

  /// A guest has come to need a level: hands over a connection that stands ready for it, else any
  /// that does, else the one that is being opened for it. Those whose upstream has closed them end
  /// as failed.
  Supply demand(int space, int level) {
    if (leases.isEmpty()) {
      return new Supply.Nothing(false);
    }
    List<Unit> ready = unitsOf(space, Stage.READY);
    ready.sort(
        Comparator.comparingInt((Unit unit) -> unit.level() == level ? 0 : 1)
            .thenComparingLong(Unit::level));
    for (Unit unit : ready) {
      SocketChannel channel = unit.channel;
      ByteBuffer said = channel == null ? null : listen(channel);
      if (unit.level() != level) {
        // Whatever becomes of it, no connection waits for that level any more.
        gone.add(new Gone(space, unit.level()));
      }
      if (channel != null && said != null) {
        unit.live.leadNanos += Math.max(0, host.clock().nanos() - unit.readyNanos);
        end(unit, Ending.USEFUL);
        return new Supply.Ready(channel, said);
      }
      discard(unit, Ending.FAILED);
    }
    return overtake(space, level);
  }

  /// Demand comes before the opening: that was late.
  private Supply overtake(int space, int level) {
    for (Stage stage : List.of(Stage.WAITING, Stage.OPENING)) {
      for (Unit unit : unitsOf(space, stage)) {
        if (unit.level() == level) {
          Supply supply = new Supply.Nothing(true);
          if (stage == Stage.OPENING) {
            unit.awaited = new CompletableFuture<>();
            supply = new Supply.Coming(unit.awaited);
          }
          end(unit, Ending.LATE);
          return supply;
        }
      }
    }
    return new Supply.Nothing(false);
  }

  /// What the upstream has said on a connection of which nobody has read yet; null if it has closed
  /// it.
  private static @Nullable ByteBuffer listen(SocketChannel channel) {
    ByteBuffer said = ByteBuffer.allocate(Buffers.SMALL_BYTES);
    try {
      channel.configureBlocking(false);
      int count;
      do {
        count = channel.read(said);
      } while (count > 0 && said.hasRemaining());
      channel.configureBlocking(true);
      return count < 0 ? null : said.flip();
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "a connection that waited was reset", e);
      return null;
    }
  }

  private void end(Unit unit, Ending how) {
    if (unit.stage == Stage.ENDED) {
      throw new IllegalStateException(
          "unit " + unit.index + " of lease " + unit.live.lease.id() + " ends twice");
    }
    unit.stage = Stage.ENDED;
    unit.channel = null;
    unit.live.ended.merge(how, 1L << unit.index, (before, bit) -> before | bit);
    touched(unit.live);
  }

  /// Ends a unit and closes its connection.
  private void discard(Unit unit, Ending how) {
    SocketChannel channel = unit.channel;
    end(unit, how);
    if (channel != null) {
      Relay.close(channel);
    }
  }

  private void touched(Live live) {
    changed.add(live);
    if (live.state().ended() == live.lease.mask()) {
      leases.remove(live.lease.id());
    }
    host.doorbell().ring();
  }

  // ---- leases

  @Override
  public void stage(Lease lease) {
    lock.lock();
    try {
      if (leases.containsKey(lease.id())) {
        return;
      }
      int held = 0;
      for (Stage stage : List.of(Stage.WAITING, Stage.OPENING, Stage.READY)) {
        held += unitsOf(lease.space(), stage).size();
      }
      var live = new Live(lease);
      leases.put(lease.id(), live);
      Endpoint endpoint = endpoints.get(lease.binding());
      Opener opener =
          endpoint == null || endpoint.space() != lease.space()
              ? null
              : openers.computeIfAbsent(lease.space(), _ -> new Opener(endpoint.upstream()));
      for (Unit unit : live.units) {
        boolean beyond = unit.level() >= Endpoint.LEVELS || held + unit.index >= Endpoint.LEVELS;
        if (endpoint == null || opener == null || beyond) {
          end(unit, Ending.FAILED);
        } else if (unit.level() < endpoint.inUse()) {
          end(unit, Ending.REDUNDANT);
        } else {
          opener.add(unit);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void cancel(long leaseId) {
    lock.lock();
    try {
      Live live = leases.get(leaseId);
      if (live != null) {
        callOff(live);
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

  private void callOff(Live live) {
    for (Unit unit : live.units) {
      if (unit.stage == Stage.WAITING || unit.stage == Stage.OPENING) {
        end(unit, Ending.CANCELLED);
      }
    }
  }

  private void giveBack(Live live) {
    callOff(live);
    for (Unit unit : live.units) {
      if (unit.stage == Stage.READY) {
        discard(unit, Ending.UNUSED);
      }
    }
  }

  /// Gives back what is ready of leases whose time is over.
  void giveBackExpired(long nowNanos) {
    lock.lock();
    try {
      leasesOf(live -> live.lease.untilNanos() < nowNanos).forEach(this::giveBack);
    } finally {
      lock.unlock();
    }
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
    List<Gone> levels;
    lock.lock();
    try {
      states = changed.stream().map(Live::state).toList();
      levels = List.copyOf(gone);
      changed.clear();
      gone.clear();
    } finally {
      lock.unlock();
    }
    to.changed(states);
    levels.forEach(level -> to.gone(level.space(), level.level(), 1));
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

  /// Opens connections to one upstream, those due first first, at a pace of its own. Its queue and
  /// whether it runs are guarded by the lock.
  private final class Opener {
    private final Upstream upstream;
    private final PriorityQueue<Unit> queue =
        new PriorityQueue<>(
            Comparator.comparingLong(Unit::dueNanos)
                .thenComparingLong(unit -> unit.live.lease.id())
                .thenComparingInt(unit -> unit.index));
    private final Semaphore places = new Semaphore(OPENING);
    private boolean runs;

    Opener(Upstream upstream) {
      this.upstream = upstream;
    }

    void add(Unit unit) {
      queue.add(unit);
      if (!runs) {
        Thread.ofVirtual().name("open-ahead-" + upstream).start(this::run);
        runs = true;
      }
    }

    private void run() {
      while (true) {
        places.acquireUninterruptibly();
        Unit unit = next();
        if (unit == null) {
          places.release();
          return;
        }
        try {
          Thread.ofVirtual().name("open-" + upstream).start(() -> open(unit));
        } catch (RuntimeException | Error e) {
          LOG.log(Level.ERROR, "nothing can be opened ahead now", e);
          places.release();
          failed(unit, new IOException("it could not be opened", e));
        }
        LockSupport.parkNanos(this, PACE.toNanos());
      }
    }

    private @Nullable Unit next() {
      lock.lock();
      try {
        Unit unit;
        do {
          unit = queue.poll();
        } while (unit != null && unit.stage != Stage.WAITING);
        if (unit == null) {
          runs = false;
        } else {
          unit.stage = Stage.OPENING;
        }
        return unit;
      } finally {
        lock.unlock();
      }
    }

    private void open(Unit unit) {
      try {
        landed(unit, upstream.connect());
      } catch (IOException e) {
        LOG.log(Level.DEBUG, "opening ahead", e);
        failed(unit, e);
      } catch (RuntimeException | Error e) {
        failed(unit, new IOException("it could not be opened", e));
        throw e;
      } finally {
        places.release();
      }
    }

    private void landed(Unit unit, SocketChannel channel) {
      CompletableFuture<SocketChannel> awaited;
      boolean wanted;
      lock.lock();
      try {
        awaited = unit.awaited;
        wanted = unit.stage == Stage.OPENING;
        if (wanted) {
          unit.stage = Stage.READY;
          unit.channel = channel;
          unit.readyNanos = host.clock().nanos();
          unit.live.ready |= 1L << unit.index;
          touched(unit.live);
        }
      } finally {
        lock.unlock();
      }
      if (awaited != null) {
        awaited.complete(channel);
      } else if (!wanted) {
        Relay.close(channel);
      }
    }

    /// What waits for the same upstream fails as well: one that refuses is not asked again at once.
    private void failed(Unit unit, IOException e) {
      CompletableFuture<SocketChannel> awaited;
      lock.lock();
      try {
        awaited = unit.awaited;
        if (unit.stage == Stage.OPENING) {
          end(unit, Ending.FAILED);
        }
        for (Unit next : queue) {
          if (next.stage == Stage.WAITING) {
            end(next, Ending.FAILED);
          }
        }
        queue.clear();
      } finally {
        lock.unlock();
      }
      if (awaited != null) {
        awaited.completeExceptionally(e);
      }
    }
  }
}
