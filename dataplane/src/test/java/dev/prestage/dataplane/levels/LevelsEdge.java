package dev.prestage.dataplane.levels;

import dev.prestage.dataplane.edge.Bound;
import dev.prestage.dataplane.edge.Edge;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.stage.Stager;
import dev.prestage.link.Frame;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// A meter of bandwidth for each binding: level `j` is the `j`-th unit of rate in use at once. What
/// is staged stands ready at once.
public final class LevelsEdge implements Edge, Stager {
  public static final int LEVELS = 8;

  private static final Shape SHAPE = new Shape(LEVELS, 1, Measure.BYTES_PER_SECOND, LEVELS);

  private final Host host;
  private final Map<Integer, Frame.Bind> bound = new HashMap<>();
  private final Map<Long, Lease> leases = new LinkedHashMap<>();
  private final Map<Long, LeaseState> states = new HashMap<>();
  private final Map<Long, LeaseState> news = new LinkedHashMap<>();
  private Runnable beforeNews = () -> {};

  public LevelsEdge(Host host) {
    this.host = host;
  }

  /// A guest comes to need this level.
  public synchronized void demand(int binding, int level) {
    Frame.Bind bind = bound.get(binding);
    if (bind == null) {
      throw new IllegalArgumentException("no binding " + binding);
    }
    boolean waited = true;
    for (Lease lease : List.copyOf(leases.values())) {
      long bit = lease.space() == bind.space() ? 1L << (level - lease.first()) : 0;
      LeaseState state = states.get(lease.id());
      if (state != null && (bit & lease.mask() & state.ready() & ~state.ended()) != 0) {
        waited = false;
        change(lease, state.ready(), state.useful() | bit, state.unused());
      }
    }
    boolean heard =
        host.ring()
            .offer(
                binding,
                bind.space(),
                level,
                1,
                host.clock().nanos(),
                AccessType.UNKNOWN,
                Cause.DEMAND,
                waited,
                waited ? Access.PENDING : 1);
    if (!heard) {
      throw new IllegalStateException("the ring is full");
    }
  }

  private void change(Lease lease, long ready, long useful, long unused) {
    LeaseState state =
        new LeaseState(lease.id(), ready, useful, 0, unused, 0, 0, 0, Long.bitCount(useful));
    states.put(lease.id(), state);
    news.put(lease.id(), state);
    if (state.ended() == lease.mask()) {
      leases.remove(lease.id());
    }
    host.doorbell().ring();
  }

  @Override
  public synchronized void stage(Lease lease) {
    if (leases.putIfAbsent(lease.id(), lease) == null) {
      change(lease, lease.mask(), 0, 0);
    }
  }

  @Override
  public void cancel(long leaseId) {
    // Nothing is ever on its way.
  }

  @Override
  public synchronized void reclaim(long leaseId) {
    Lease lease = leases.get(leaseId);
    LeaseState state = states.get(leaseId);
    if (lease != null && state != null) {
      change(lease, state.ready(), state.useful(), lease.mask() & ~state.useful());
    }
  }

  @Override
  public ResourceType type() {
    return ResourceType.IO_BANDWIDTH;
  }

  @Override
  public synchronized Bound open(Frame.Bind bind) {
    bound.put(bind.binding(), bind);
    return new Bound(SHAPE, "");
  }

  @Override
  public synchronized void close(int binding) {
    bound.remove(binding);
  }

  @Override
  public synchronized void keepOnly(Set<String> names) {
    bound.values().removeIf(bind -> !names.contains(bind.name()));
  }

  @Override
  public long purge(String tenant, String source) {
    return 0;
  }

  @Override
  public Stager stager() {
    return this;
  }

  @Override
  public synchronized Set<Integer> spaces() {
    return Set.copyOf(bound.values().stream().map(Frame.Bind::space).toList());
  }

  @Override
  public synchronized boolean serves(int space) {
    return bound.values().stream().anyMatch(bind -> bind.space() == space);
  }

  @Override
  public synchronized BitSet ready(int space) {
    BitSet ready = new BitSet();
    for (Lease lease : leases.values()) {
      if (lease.space() == space) {
        ready.set((int) lease.first(), (int) lease.range().end());
      }
    }
    return ready;
  }

  @Override
  public synchronized List<Held> takeHeld() {
    List<Held> held = new ArrayList<>();
    leases.values().forEach(lease -> held.add(new Held(lease, states.get(lease.id()))));
    news.clear();
    return held;
  }

  @Override
  public synchronized boolean hasNews() {
    return !news.isEmpty();
  }

  /// Has something happen once in the moment before the next news are told.
  public synchronized void beforeNews(Runnable happens) {
    beforeNews = happens;
  }

  @Override
  public synchronized void takeNews(News to) {
    Runnable happens = beforeNews;
    beforeNews = () -> {};
    happens.run();
    to.changed(List.copyOf(news.values()));
    news.clear();
  }

  @Override
  public synchronized void giveBackExpired(long nowNanos) {
    leases.values().stream()
        .filter(lease -> lease.untilNanos() < nowNanos)
        .map(Lease::id)
        .toList()
        .forEach(this::reclaim);
  }

  @Override
  public synchronized void count(List<Frame.Counter> into) {
    into.add(new Frame.Counter("levels_bound", "", bound.size()));
  }

  @Override
  public void close() {
    // Nothing is open.
  }
}
