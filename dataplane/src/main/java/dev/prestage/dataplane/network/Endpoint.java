package dev.prestage.dataplane.network;

import dev.prestage.dataplane.edge.Host;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// One binding: a listener on this host's loopback, whose connections are relayed to the upstream.
///
/// A guest's connection is accepted before the upstream is asked. If the upstream cannot be reached
/// the connection is reset, so that the guest learns of it at its first read or write.
final class Endpoint {
  /// The most connections that a binding has at once, and so the levels of an upstream. PostgreSQL
  /// takes 100 unless it is told otherwise, and pools of ten are the default of many programs.
  static final int LEVELS = 100;

  /// More than the kernel's default of 50, so that all levels can be asked for at once.
  private static final int BACKLOG = 128;

  /// When accepting fails (no descriptors left), connections must end before it can succeed.
  private static final long ACCEPT_PAUSE_NANOS = Duration.ofMillis(100).toNanos();

  private final String name;
  private final Upstream upstream;
  private final ReentrantLock lock;
  private final Reserve reserve;
  private final Host host;
  private final ServerSocketChannel listener;
  private final int port;
  private final AtomicLong connects = new AtomicLong();
  private final AtomicLong waits = new AtomicLong();
  private final AtomicLong refused = new AtomicLong();
  private final AtomicLong failures = new AtomicLong();
  private final AtomicLong dropped = new AtomicLong();

  // Guarded by the lock, as the numbers are changed with it held.
  private final Set<Connection> connections = new HashSet<>();
  private int binding;
  private int space;
  private int inUse;
  private boolean closed;

  /// Listens; nothing is accepted before [#start].
  ///
  /// @param port the port to listen on, or 0 for any
  /// @throws IOException with one line that says why not
  Endpoint(
      String name,
      int binding,
      int space,
      Upstream upstream,
      int port,
      ReentrantLock lock,
      Reserve reserve,
      Host host)
      throws IOException {
    this.name = name;
    this.binding = binding;
    this.space = space;
    this.upstream = upstream;
    this.lock = lock;
    this.reserve = reserve;
    this.host = host;
    this.listener = ServerSocketChannel.open(StandardProtocolFamily.INET);
    InetAddress loopback = InetAddress.ofLiteral("127.0.0.1");
    try {
      listener.bind(new InetSocketAddress(loopback, port), BACKLOG);
      this.port = ((InetSocketAddress) listener.getLocalAddress()).getPort();
    } catch (IOException e) {
      listener.close();
      throw IoProblem.in("cannot listen for connections of '" + name + "' on port " + port, e);
    }
  }

  void start() {
    Thread.ofVirtual().name("accept-" + name).start(this::accept);
  }

  String name() {
    return name;
  }

  Upstream upstream() {
    return upstream;
  }

  int port() {
    return port;
  }

  /// Where guests connect.
  String address() {
    return "127.0.0.1:" + port;
  }

  int binding() {
    return binding;
  }

  int space() {
    return space;
  }

  /// The connections that are relayed or wait for the upstream now. With the lock held.
  int inUse() {
    return inUse;
  }

  long connects() {
    return connects.get();
  }

  long waits() {
    return waits.get();
  }

  long refused() {
    return refused.get();
  }

  long failures() {
    return failures.get();
  }

  long dropped() {
    return dropped.get();
  }

  /// Whether it has these numbers. With the lock held.
  boolean isNumbered(int aBinding, int aSpace) {
    return binding == aBinding && space == aSpace;
  }

  /// The control plane counts anew. With the lock held, and unknown to the reserve.
  void renumber(int newBinding, int newSpace) {
    binding = newBinding;
    space = newSpace;
  }

  private void accept() {
    while (true) {
      try {
        SocketChannel guest = listener.accept();
        Thread.ofVirtual().name("relay-down").start(() -> serve(guest));
      } catch (ClosedChannelException _) {
        return;
      } catch (IOException e) {
        host.trouble().report("network-connections", "cannot accept guests: " + e.getMessage());
        LockSupport.parkNanos(ACCEPT_PAUSE_NANOS);
      }
    }
  }

  private void serve(SocketChannel guest) {
    var connection = new Connection(guest, host.clock().nanos());
    try {
      Upstream.prepare(guest);
    } catch (IOException _) {
      // It is gone already.
      Relay.close(guest);
      return;
    }
    if (!admit(connection)) {
      Relay.reset(guest);
      return;
    }
    try {
      connection.relay();
    } catch (IOException e) {
      failures.incrementAndGet();
      host.trouble()
          .report("upstream", "a connection of '" + name + "' was reset: " + IoProblem.explain(e));
    } finally {
      connection.reset();
      release(connection);
    }
  }

  /// Gives a connection its level and what stands ready for that.
  private boolean admit(Connection connection) {
    boolean full;
    lock.lock();
    try {
      if (closed) {
        return false;
      }
      full = inUse == LEVELS;
      if (!full) {
        connection.level = inUse++;
        connections.add(connection);
        connection.supply = reserve.demand(space, connection.level);
        connects.incrementAndGet();
        if (!(connection.supply instanceof Reserve.Supply.Ready)) {
          waits.incrementAndGet();
          report(connection.level, connection.beganNanos, true, Access.PENDING);
        } else {
          report(connection.level, connection.beganNanos, false, connection.ageNanos());
        }
      }
    } finally {
      lock.unlock();
    }
    if (full) {
      refused.incrementAndGet();
      host.trouble()
          .report(
              "network-connections",
              "'"
                  + name
                  + "' has "
                  + LEVELS
                  + " connections to "
                  + upstream
                  + " at once, which is the most; another one was reset");
    }
    return !full;
  }

  private void answered(Connection connection) {
    lock.lock();
    try {
      report(connection.level, connection.beganNanos, true, connection.ageNanos());
    } finally {
      lock.unlock();
    }
  }

  /// The highest level in use is given up, whichever connection ended.
  private void release(Connection connection) {
    lock.lock();
    try {
      connections.remove(connection);
      inUse--;
      offer(inUse, host.clock().nanos(), AccessType.RELEASE, false, 0);
    } finally {
      lock.unlock();
    }
  }

  private void report(int level, long timeNanos, boolean waited, long latencyNanos) {
    offer(level, timeNanos, AccessType.UNKNOWN, waited, latencyNanos);
  }

  private void offer(
      int level, long timeNanos, AccessType type, boolean waited, long latencyNanos) {
    if (!host.ring()
        .offer(binding, space, level, 1, timeNanos, type, Cause.DEMAND, waited, latencyNanos)) {
      dropped.incrementAndGet();
    }
  }

  /// Stops listening and ends all connections. Without the lock.
  void close() throws IOException {
    List<Connection> open;
    lock.lock();
    try {
      closed = true;
      open = List.copyOf(connections);
    } finally {
      lock.unlock();
    }
    listener.close();
    open.forEach(Connection::reset);
  }

  /// A guest's connection.
  private final class Connection {
    private final SocketChannel guest;
    private final long beganNanos;
    private int level;
    private Reserve.Supply supply = new Reserve.Supply.Nothing();

    // Whoever resets while the upstream is being opened cannot see it yet.
    private @Nullable Relay relay;
    private boolean reset;

    Connection(SocketChannel guest, long beganNanos) {
      this.guest = guest;
      this.beganNanos = beganNanos;
    }

    long ageNanos() {
      return Math.max(0, host.clock().nanos() - beganNanos);
    }

    /// Relays until both ends have said all.
    ///
    /// @throws IOException if the upstream cannot be reached
    void relay() throws IOException {
      boolean waited = true;
      ByteBuffer said = ByteBuffer.allocate(0);
      SocketChannel up;
      try {
        switch (supply) {
          case Reserve.Supply.Ready(SocketChannel channel, ByteBuffer already) -> {
            up = channel;
            said = already;
            waited = false;
          }
          case Reserve.Supply.Coming(CompletableFuture<SocketChannel> channel) ->
              up = await(channel);
          case Reserve.Supply.Nothing() -> up = upstream.connect();
        }
      } finally {
        if (waited) {
          answered(this);
        }
      }
      if (waited) {
        said = ByteBuffer.allocate(Relay.BUFFER_BYTES).flip();
      }
      Relay mine = take(up);
      if (mine != null) {
        mine.run(said);
      }
    }

    /// The connection that was being opened ahead; if that fails, one more is tried.
    private SocketChannel await(CompletableFuture<SocketChannel> channel) throws IOException {
      try {
        return channel.get();
      } catch (ExecutionException _) {
        return upstream.connect();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted while " + upstream + " was reached", e);
      }
    }

    private synchronized @Nullable Relay take(SocketChannel up) {
      Relay mine = new Relay(guest, up);
      if (reset) {
        mine.reset();
        return null;
      }
      relay = mine;
      return mine;
    }

    /// Ends it at once; harmless when it has ended.
    synchronized void reset() {
      reset = true;
      if (relay == null) {
        Relay.reset(guest);
      } else {
        relay.reset();
      }
    }
  }
}
