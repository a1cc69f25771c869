package dev.prestage.dataplane.network;

import dev.prestage.dataplane.edge.Bound;
import dev.prestage.dataplane.edge.Edge;
import dev.prestage.dataplane.edge.Host;
import dev.prestage.dataplane.network.EndpointsFile.Remembered;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.stage.Stager;
import dev.prestage.link.Frame;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// Connections of guests, relayed to their upstreams, with those that were forecast open already.
///
/// ```
///   guest ─▶ Endpoint ─▶ Relay ─▶ upstream
///               │ demand            ▲
///               ▼                   │ ahead
///            Reserve ───────────────┘◀── leases
/// ```
public final class NetworkEdge implements Edge {
  private static final Logger LOG = System.getLogger(NetworkEdge.class.getName());

  private static final Shape SHAPE =
      new Shape(Endpoint.LEVELS, 1, Measure.CONNECTIONS, Endpoint.LEVELS);

  /// The number of no binding.
  private static final int NOBODY = -1;

  private final EndpointsFile file;
  private final InetAddress address;
  private final Host host;
  private final ReentrantLock lock = new ReentrantLock();
  private final Reserve reserve;
  private final Loop loop;
  private final Buffers buffers = new Buffers();

  /// Held while endpoints come and go, which is written down; looked at without it.
  private final ReentrantLock registry = new ReentrantLock();

  private final Map<String, Served> served = new ConcurrentSkipListMap<>();

  /// Endpoints that could not be served again when this data plane started, by name: their ports
  /// are tried again when the control plane names them, as a bridge may have its address by then.
  /// Guarded by the registry.
  private final Map<String, Remembered> lost = new HashMap<>();

  /// An endpoint and whose it is.
  private record Served(Endpoint endpoint, String tenant, String source) {
    Remembered remembered() {
      return new Remembered(
          endpoint.binding(), endpoint.name(), endpoint.space(), tenant, source, endpoint.port());
    }
  }

  /// Serves what was served when the last data plane ended, at the same ports if they are free.
  ///
  /// @param address one of this host's, where guests connect
  /// @throws IOException with one line that says what is wrong and what to do
  public NetworkEdge(Path stateDirectory, InetAddress address, Host host) throws IOException {
    this.file = new EndpointsFile(stateDirectory);
    this.address = address;
    this.host = host;
    this.reserve = new Reserve(lock, host);
    List<Remembered> before = file.load();
    this.loop = new Loop();
    for (Remembered remembered : before) {
      restore(remembered);
    }
  }

  private void restore(Remembered remembered) {
    try {
      put(listen(remembered, remembered.port()));
    } catch (IOException e) {
      lost.put(remembered.name(), remembered);
      host.trouble()
          .report(
              "network-connections",
              IoProblem.explain(e)
                  + "; guests of '"
                  + remembered.name()
                  + "' reach nothing until it can be");
    }
  }

  private Served listen(Remembered what, int port) throws IOException {
    Endpoint endpoint =
        new Endpoint(
            what.name(),
            what.binding(),
            what.space(),
            Upstream.of(what.source(), this::lookup),
            new InetSocketAddress(address, port),
            lock,
            reserve,
            loop,
            buffers,
            host);
    return new Served(endpoint, what.tenant(), what.source());
  }

  /// The lookup that another endpoint has for that host, else a new one: however many VMs use a
  /// name, it is asked for once at a time.
  private Lookup lookup(String name) {
    return served.values().stream()
        .map(each -> each.endpoint().upstream())
        .filter(upstream -> upstream.host().equalsIgnoreCase(name))
        .map(Upstream::lookup)
        .findFirst()
        .orElseGet(() -> new Lookup(name));
  }

  private void put(Served next) {
    served.put(next.endpoint().name(), next);
    lock.lock();
    try {
      reserve.add(next.endpoint());
    } finally {
      lock.unlock();
    }
    next.endpoint().start();
  }

  @Override
  public ResourceType type() {
    return ResourceType.NETWORK_CONNECTION;
  }

  @Override
  public Bound open(Frame.Bind bind) throws IOException {
    registry.lock();
    try {
      Served before = served.get(bind.name());
      Served now;
      if (before != null
          && before.tenant().equals(bind.tenant())
          && before.source().equals(bind.source())) {
        renumber(before.endpoint(), bind);
        now = before;
      } else {
        now = listenAgain(bind);
        if (before != null) {
          remove(before);
        }
        put(now);
      }
      Remembered found = lost.remove(bind.name());
      try {
        remember(before == null ? now : null);
      } catch (IOException e) {
        if (found != null) {
          lost.put(bind.name(), found);
        }
        throw e;
      }
      if (found != null && found.port() != now.endpoint().port()) {
        host.trouble()
            .report(
                "network-connections",
                "'"
                    + bind.name()
                    + "' listens at "
                    + now.endpoint().address()
                    + " now, as port "
                    + found.port()
                    + " is not to be had; its guests need the new address");
      }
      return new Bound(SHAPE, now.endpoint().address());
    } finally {
      registry.unlock();
    }
  }

  /// At the port that its guests know, if that can be.
  private Served listenAgain(Frame.Bind bind) throws IOException {
    Remembered before = lost.get(bind.name());
    if (before != null
        && !(before.tenant().equals(bind.tenant()) && before.source().equals(bind.source()))) {
      // Another one of the same name: nobody looks for it at that port.
      lost.remove(bind.name());
      before = null;
    }
    Remembered fresh =
        new Remembered(
            bind.binding(),
            bind.name(),
            bind.space(),
            bind.tenant(),
            bind.source(),
            before == null ? 0 : before.port());
    renumberLost(fresh);
    if (fresh.port() != 0) {
      try {
        return listen(fresh, fresh.port());
      } catch (IOException e) {
        LOG.log(Level.DEBUG, "somebody else has the port still", e);
      }
    }
    return listen(fresh, 0);
  }

  /// The control plane counts anew: a lost endpoint that it names has the new numbers, and no other
  /// one has them.
  private void renumberLost(Remembered named) {
    lost.replaceAll((name, each) -> {
      if (name.equals(named.name())) {
        return named;
      }
      return each.binding() == named.binding()
          ? new Remembered(NOBODY, name, each.space(), each.tenant(), each.source(), each.port())
          : each;
    });
  }

  private void renumber(Endpoint endpoint, Frame.Bind bind) {
    lock.lock();
    try {
      if (!endpoint.isNumbered(bind.binding(), bind.space())) {
        reserve.remove(endpoint);
        endpoint.renumber(bind.binding(), bind.space());
        reserve.add(endpoint);
      }
    } finally {
      lock.unlock();
    }
  }

  /// Writes down what is served.
  ///
  /// @param fresh what goes again if that fails
  private void remember(@Nullable Served fresh) throws IOException {
    try {
      save();
    } catch (IOException e) {
      if (fresh != null) {
        remove(fresh);
      }
      throw IoProblem.in("its address cannot be remembered", e);
    }
  }

  private void save() throws IOException {
    List<Remembered> all = new ArrayList<>(lost.values());
    lock.lock();
    try {
      served.values().forEach(each -> all.add(each.remembered()));
    } finally {
      lock.unlock();
    }
    file.save(all);
  }

  private void remove(Served gone) throws IOException {
    served.remove(gone.endpoint().name(), gone);
    gone.endpoint().close();
    lock.lock();
    try {
      reserve.remove(gone.endpoint());
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close(int binding) throws IOException {
    keep(each -> each.binding() != binding);
  }

  @Override
  public void keepOnly(Set<String> names) throws IOException {
    keep(each -> names.contains(each.name()));
  }

  private void keep(Predicate<Remembered> condition) throws IOException {
    registry.lock();
    try {
      boolean anyLost = lost.values().removeIf(condition.negate());
      List<Served> gone =
          served.values().stream().filter(each -> !condition.test(each.remembered())).toList();
      for (Served each : gone) {
        remove(each);
      }
      if (anyLost || !gone.isEmpty()) {
        save();
      }
    } finally {
      registry.unlock();
    }
  }

  /// Nothing of an upstream is kept.
  @Override
  public long purge(String tenant, String source) {
    return 0;
  }

  @Override
  public Stager stager() {
    return reserve;
  }

  @Override
  public Set<Integer> spaces() {
    Set<Integer> spaces = new HashSet<>();
    lock.lock();
    try {
      served.values().forEach(each -> spaces.add(each.endpoint().space()));
    } finally {
      lock.unlock();
    }
    return spaces;
  }

  @Override
  public boolean serves(int space) {
    lock.lock();
    try {
      return reserve.serves(space);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public BitSet ready(int space) {
    lock.lock();
    try {
      return reserve.levels(space);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public List<Held> takeHeld() {
    return reserve.takeHeld();
  }

  @Override
  public boolean hasNews() {
    return reserve.hasNews();
  }

  @Override
  public void takeNews(News to) {
    reserve.takeNews(to);
  }

  @Override
  public void giveBackExpired(long nowNanos) {
    reserve.giveBackExpired(nowNanos);
  }

  @Override
  public void count(List<Frame.Counter> into) {
    for (Served each : served.values()) {
      Endpoint endpoint = each.endpoint();
      int inUse;
      int ready;
      lock.lock();
      try {
        inUse = endpoint.inUse();
        ready = reserve.ready(endpoint);
      } finally {
        lock.unlock();
      }
      into.add(new Frame.Counter("network_in_use", endpoint.name(), inUse));
      into.add(new Frame.Counter("network_ready", endpoint.name(), ready));
      into.add(new Frame.Counter("network_connects", endpoint.name(), endpoint.connects()));
      into.add(new Frame.Counter("network_waits", endpoint.name(), endpoint.waits()));
      into.add(new Frame.Counter("network_refused", endpoint.name(), endpoint.refused()));
      into.add(new Frame.Counter("network_failures", endpoint.name(), endpoint.failures()));
      into.add(new Frame.Counter("accesses_dropped", endpoint.name(), endpoint.dropped()));
    }
  }

  /// Ends all connections. The ports are remembered for the next start.
  @Override
  public void close() throws IOException {
    registry.lock();
    try {
      for (Served each : served.values()) {
        remove(each);
      }
      loop.close();
    } finally {
      registry.unlock();
    }
  }
}
