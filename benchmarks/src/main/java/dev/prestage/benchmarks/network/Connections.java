package dev.prestage.benchmarks.network;

import dev.prestage.benchmarks.network.Requests.Upstream;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;

/// Where a request gets its connections.
interface Connections extends AutoCloseable {
  /// A connection on which a request may ask at once.
  Line take(Upstream upstream) throws IOException, InterruptedException;

  /// Whether what [#take] gives has its login behind it.
  boolean areLoggedIn();

  /// The request needs it no more.
  void giveBack(Upstream upstream, Line line) throws IOException;

  @Override
  void close() throws IOException;

  /// A new one each time.
  ///
  /// @param addresses where each upstream is reached
  record Fresh(Map<Upstream, String> addresses) implements Connections {
    public Fresh {
      addresses = Map.copyOf(addresses);
    }

    @Override
    public Line take(Upstream upstream) throws IOException {
      return new Line(Requests.at(addresses, upstream));
    }

    @Override
    public void giveBack(Upstream upstream, Line line) throws IOException {
      line.close();
    }

    @Override
    public boolean areLoggedIn() {
      return false;
    }

    @Override
    public void close() {}
  }

  /// A pool for each upstream, as somebody sets it up by hand: so many connections, opened at the
  /// start and kept; a request gets the one that was given back last, or waits. Logins are done
  /// when requests come, and cost nothing here.
  final class Pooled implements Connections {
    private final Map<Upstream, Pool> pools = new EnumMap<>(Upstream.class);

    private record Pool(Semaphore free, Deque<Line> lines, List<Line> all) {}

    Pooled(Map<Upstream, String> addresses, int size) throws IOException {
      for (Upstream upstream : Upstream.values()) {
        Pool pool = new Pool(new Semaphore(size), new ArrayDeque<>(), new ArrayList<>());
        for (int i = 0; i < size; i++) {
          Line line = new Line(Requests.at(addresses, upstream));
          pool.lines().push(line);
          pool.all().add(line);
        }
        pools.put(upstream, pool);
      }
    }

    @Override
    public Line take(Upstream upstream) throws InterruptedException {
      Pool pool = Requests.at(pools, upstream);
      pool.free().acquire();
      synchronized (pool) {
        return pool.lines().pop();
      }
    }

    @Override
    public boolean areLoggedIn() {
      return true;
    }

    @Override
    public void giveBack(Upstream upstream, Line line) {
      Pool pool = Requests.at(pools, upstream);
      synchronized (pool) {
        pool.lines().push(line);
      }
      pool.free().release();
    }

    @Override
    public void close() throws IOException {
      for (Pool pool : pools.values()) {
        for (Line line : pool.all()) {
          line.close();
        }
      }
    }
  }
}
