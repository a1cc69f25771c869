package dev.prestage.dataplane.bandwidth;

import dev.prestage.dataplane.edge.Bound;
import dev.prestage.dataplane.edge.Edge;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.stage.Stager;
import dev.prestage.link.Frame;
import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;

/// Shares of the links to origins: what VMs ask of them, in levels, and what was forecast promised
/// before.
///
/// ```
///   Fetcher ─▶ Link ─▶ TokenTree ◀── promises ── Leases ◀── leases
///               │ demand                            ▲
///               └─▶ Meter ─▶ Metered ─ accesses ────┘
/// ```
///
/// Nothing of this outlives the process: the control plane binds again what it knows, and until
/// then nobody waits for anything here.
public final class BandwidthEdge implements Edge {
  private final Links links;
  private final Host host;
  private final ReentrantLock lock;
  private final Leases leases;

  /// By name; guarded by the lock.
  private final Map<String, Metered> served = new HashMap<>();

  private boolean turning;
  private boolean closed;

  /// An edge of these links.
  public BandwidthEdge(Links links, Host host) {
    this.links = links;
    this.host = host;
    this.lock = links.lock();
    this.leases = new Leases(lock, host);
  }

  @Override
  public ResourceType type() {
    return ResourceType.IO_BANDWIDTH;
  }

  @Override
  public Bound open(Frame.Bind bind) throws IOException {
    Link link = links.of(bind.source());
    if (link == null) {
      List<String> names = links.all().stream().map(Link::name).toList();
      throw new IOException(
          "'"
              + bind.source()
              + "' is no origin of this host, whose links are to "
              + String.join(", ", names));
    }
    lock.lock();
    try {
      Metered before = served.get(bind.name());
      if (before == null
          || !before.tenant().equals(bind.tenant())
          || !before.link().equals(link)
          || before.binding() != bind.binding()
          || before.space() != bind.space()) {
        if (before != null) {
          remove(before);
        }
        add(
            new Metered(
                bind.name(),
                bind.binding(),
                bind.space(),
                bind.tenant(),
                link,
                leases,
                host,
                links.promises() == Promises.BURSTS));
      }
    } finally {
      lock.unlock();
    }
    Shape shape =
        new Shape(
            link.levels() * link.levelBytes(),
            link.levelBytes(),
            Measure.BYTES_PER_SECOND,
            link.levels());
    return new Bound(shape, "link:" + link.name());
  }

  private void add(Metered next) throws IOException {
    for (Metered other : served.values()) {
      if (other.vm().equals(next.vm()) && other.link().equals(next.link())) {
        throw new IOException(
            "the VM has the link to '"
                + next.link().name()
                + "' as '"
                + other.name()
                + "' already");
      }
    }
    served.put(next.name(), next);
    leases.add(next);
    next.link().bind(next);
    if (!turning) {
      turning = true;
      Thread _ = Thread.ofVirtual().name("bandwidth-meters").start(this::turn);
    }
  }

  private void remove(Metered gone) {
    served.remove(gone.name());
    leases.remove(gone);
    gone.link().unbind(gone);
  }

  /// Ends windows of VMs that ask for nothing, while anybody is bound.
  private void turn() {
    while (turnAll()) {
      LockSupport.parkNanos(this, Meter.WINDOW_NANOS / 4);
    }
  }

  private boolean turnAll() {
    lock.lock();
    try {
      long now = host.clock().nanos();
      for (Metered each : served.values()) {
        each.turn(now);
        if (links.promises() == Promises.REACTIVE) {
          each.react(now);
        }
      }
      turning = !closed && !served.isEmpty();
      return turning;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close(int binding) {
    keep(each -> each.binding() != binding);
  }

  @Override
  public void keepOnly(Set<String> names) {
    keep(each -> names.contains(each.name()));
  }

  private void keep(Predicate<Metered> condition) {
    lock.lock();
    try {
      served.values().stream().filter(condition.negate()).toList().forEach(this::remove);
    } finally {
      lock.unlock();
    }
  }

  /// Nothing of a link is kept.
  @Override
  public long purge(String tenant, String source) {
    return 0;
  }

  @Override
  public Stager stager() {
    return leases;
  }

  @Override
  public Set<Integer> spaces() {
    Set<Integer> spaces = new HashSet<>();
    all().forEach(each -> spaces.add(each.space()));
    return spaces;
  }

  private List<Metered> all() {
    lock.lock();
    try {
      return List.copyOf(served.values());
    } finally {
      lock.unlock();
    }
  }

  @Override
  public boolean serves(int space) {
    lock.lock();
    try {
      return served.values().stream().anyMatch(each -> each.space() == space);
    } finally {
      lock.unlock();
    }
  }

  /// Those that stand ready for each binding: a promise to one VM is none to another.
  @Override
  public BitSet ready(int space) {
    lock.lock();
    try {
      List<BitSet> each =
          served.values().stream()
              .filter(one -> one.space() == space)
              .map(Metered::levels)
              .toList();
      BitSet common = new BitSet();
      if (!each.isEmpty()) {
        common.or(each.getFirst());
        each.forEach(common::and);
      }
      return common;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public List<Held> takeHeld() {
    return leases.takeHeld();
  }

  @Override
  public boolean hasNews() {
    return leases.hasNews();
  }

  @Override
  public void takeNews(News to) {
    leases.takeNews(to);
  }

  @Override
  public void giveBackExpired(long nowNanos) {
    leases.giveBackExpired(nowNanos);
  }

  @Override
  public void count(List<Frame.Counter> into) {
    lock.lock();
    try {
      for (Link link : links.all()) {
        if (link.isScheduled()) {
          into.add(new Frame.Counter("link_rate_bytes", link.name(), link.rate()));
          into.add(new Frame.Counter("link_promised_bytes", link.name(), link.promised()));
        }
      }
      for (Metered each : served.values()) {
        long level = each.link().levelBytes();
        List<Frame.Counter> counters = new ArrayList<>();
        counters.add(new Frame.Counter("bandwidth_in_use", each.name(), each.inUse() * level));
        counters.add(
            new Frame.Counter(
                "bandwidth_promised", each.name(), each.link().promisedTo(each.vm())));
        counters.add(new Frame.Counter("bandwidth_ready", each.name(), each.ready() * level));
        counters.add(new Frame.Counter("bandwidth_demand_bytes", each.name(), each.demandBytes()));
        counters.add(new Frame.Counter("bandwidth_levels_reached", each.name(), each.reached()));
        counters.add(
            new Frame.Counter("bandwidth_levels_unpromised", each.name(), each.unpromised()));
        counters.add(new Frame.Counter("accesses_dropped", each.name(), each.dropped()));
        BurstPromise bursts = each.bursts();
        if (bursts != null) {
          counters.add(new Frame.Counter("bandwidth_windows", each.name(), bursts.windows()));
          counters.add(
              new Frame.Counter("bandwidth_windows_exceeded", each.name(), bursts.exceeded()));
          counters.add(
              new Frame.Counter("bandwidth_foretold_bytes", each.name(), bursts.foretoldBytes()));
          counters.add(
              new Frame.Counter(
                  "bandwidth_foretold_unused_bytes", each.name(), bursts.unusedBytes()));
        }
        into.addAll(counters);
      }
    } finally {
      lock.unlock();
    }
  }

  /// Gives all back.
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      List.copyOf(served.values()).forEach(this::remove);
    } finally {
      lock.unlock();
    }
  }
}
