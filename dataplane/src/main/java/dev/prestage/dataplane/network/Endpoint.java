package dev.prestage.dataplane.network;

import dev.prestage.dataplane.edge.Host;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketTimeoutException;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SelectionKey;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import jdk.net.ExtendedSocketOptions;
import org.jspecify.annotations.Nullable;

/// One binding: a listener on an address of this host, whose connections are relayed to the
/// upstream.
///
/// A guest's connection is accepted before the upstream is asked. If the upstream cannot be reached
/// the connection is reset, so that the guest learns of it at its first read or write.
final class Endpoint {
  private static final Logger LOG = System.getLogger(Endpoint.class.getName());

  /// The most connections that a binding has at once, and so the levels of an upstream. PostgreSQL
  /// takes 100 unless it is told otherwise, and pools of ten are the default of many programs.
  static final int LEVELS = 100;

  /// More than the kernel's default of 50, so that all levels can be asked for at once.
  private static final int BACKLOG = 128;

  /// When accepting fails (no descriptors left), connections must end before it can succeed.
  private static final long ACCEPT_PAUSE_NANOS = Duration.ofMillis(100).toNanos();

  /// A guest that was silent for eight hours is asked each hour, and is given up after twelve: the
  /// most that Linux takes for the first are nine.
  private static final int GUEST_SILENT_SECONDS = (int) Duration.ofHours(8).toSeconds();

  private static final int GUEST_ASK_SECONDS = (int) Duration.ofHours(1).toSeconds();
  private static final int GUEST_ASK_TIMES = 4;

  private final String name;
  private final Upstream upstream;
  private final ReentrantLock lock;
  private final Reserve reserve;
  private final Loop loop;
  private final Buffers buffers;
  private final Host host;
  private final ServerSocketChannel listener;
  private final InetSocketAddress address;
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

  // Of the loop's thread.
  private @Nullable SelectionKey accepting;
  private @Nullable SocketChannel spare;

  /// Listens; nothing is accepted before [#start].
  ///
  /// @param where to listen; its port may be 0 for any
  /// @throws IOException with one line that says why not
  Endpoint(
      String name,
      int binding,
      int space,
      Upstream upstream,
      InetSocketAddress where,
      ReentrantLock lock,
      Reserve reserve,
      Loop loop,
      Buffers buffers,
      Host host)
      throws IOException {
    this.name = name;
    this.binding = binding;
    this.space = space;
    this.upstream = upstream;
    this.lock = lock;
    this.reserve = reserve;
    this.loop = loop;
    this.buffers = buffers;
    this.host = host;
    this.listener =
        ServerSocketChannel.open(
            where.getAddress() instanceof Inet6Address
                ? StandardProtocolFamily.INET6
                : StandardProtocolFamily.INET);
    try {
      listener.bind(where, BACKLOG);
      listener.configureBlocking(false);
      this.address = (InetSocketAddress) listener.getLocalAddress();
    } catch (IOException e) {
      listener.close();
      throw IoProblem.in("cannot listen for connections of '" + name + "' on " + text(where), e);
    }
  }

  void start() {
    loop.execute(this::listen);
  }

  String name() {
    return name;
  }

  Upstream upstream() {
    return upstream;
  }

  int port() {
    return address.getPort();
  }

  /// Where guests connect.
  String address() {
    return text(address);
  }

  /// As `address:port`, one of IPv6 in brackets and without its interface.
  private static String text(InetSocketAddress where) {
    String host = where.getAddress().getHostAddress();
    int zone = host.indexOf('%');
    String bare = zone < 0 ? host : host.substring(0, zone);
    return (bare.indexOf(':') < 0 ? bare : "[" + bare + "]") + ":" + where.getPort();
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

  private void listen() {
    try {
      accepting = loop.register(listener, SelectionKey.OP_ACCEPT, this::accept);
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "an endpoint was closed before it listened", e);
    }
  }

  private void accept() {
    try {
      while (acceptOne()) {
        // Until nobody waits.
      }
    } catch (ClosedChannelException _) {
      // It is closed.
    } catch (IOException e) {
      interest(0);
      var _ = loop.schedule(ACCEPT_PAUSE_NANOS, () -> interest(SelectionKey.OP_ACCEPT));
      host.trouble()
          .report(
              "network-connections",
              "cannot accept guests of '" + name + "' now: " + IoProblem.explain(e));
    }
  }

  /// Returns whether there was a guest. None is accepted for whom there is no socket to connect
  /// with: in the kernel's queue a guest waits, here it would have to be reset.
  private boolean acceptOne() throws IOException {
    if (spare == null) {
      spare = freshSocket();
    }
    SocketChannel guest = listener.accept();
    if (guest == null) {
      return false;
    }
    serve(guest);
    return true;
  }

  private void interest(int operations) {
    SelectionKey key = accepting;
    if (key != null && key.isValid()) {
      key.interestOps(operations);
    }
  }

  private void serve(SocketChannel guest) {
    var connection = new Connection(guest, host.clock().nanos());
    if (!admit(connection)) {
      Relay.reset(guest);
      return;
    }
    connection.step(() -> {
      // A connect for which there was nothing goes out before it is reported.
      connection.begin();
      connection.announce();
      try {
        guest.configureBlocking(false);
        prepare(guest);
      } catch (IOException e) {
        LOG.log(Level.DEBUG, "a guest is gone already", e);
      }
    });
  }

  /// Prepares a guest's connection. A guest that says nothing may be a VM that is paused, which
  /// must find its connections when it goes on, if need be in the morning: it is asked for the
  /// first time after [#GUEST_SILENT_SECONDS]. The connections of a VM that was removed are closed
  /// anyway.
  private static void prepare(SocketChannel guest) throws IOException {
    guest.setOption(StandardSocketOptions.TCP_NODELAY, true);
    guest.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
    guest.setOption(ExtendedSocketOptions.TCP_KEEPIDLE, GUEST_SILENT_SECONDS);
    guest.setOption(ExtendedSocketOptions.TCP_KEEPINTERVAL, GUEST_ASK_SECONDS);
    guest.setOption(ExtendedSocketOptions.TCP_KEEPCOUNT, GUEST_ASK_TIMES);
  }

  /// A socket to connect with: making one takes time that a guest need not wait.
  private SocketChannel socket() throws IOException {
    SocketChannel ready = spare;
    spare = null;
    return ready == null ? freshSocket() : ready;
  }

  private static SocketChannel freshSocket() throws IOException {
    SocketChannel channel = SocketChannel.open();
    try {
      channel.configureBlocking(false);
      Upstream.prepare(channel);
      return channel;
    } catch (IOException e) {
      Relay.close(channel);
      throw e;
    }
  }

  private void dropSpare() {
    SocketChannel left = spare;
    spare = null;
    if (left != null) {
      Relay.close(left);
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
        connection.supply = reserve.demand(space, inUse);
        connection.level = inUse++;
        connections.add(connection);
        connects.incrementAndGet();
        if (!(connection.supply instanceof Reserve.Supply.Ready)) {
          waits.incrementAndGet();
        }
        if (!(connection.supply instanceof Reserve.Supply.Nothing(boolean overtook)) || overtook) {
          // The control plane hears that a lease's unit has ended. Without the access that ended it
          // the level would seem to be free, and would be opened again.
          connection.announce();
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

  private void report(Connection connection, boolean waited, long latencyNanos) {
    lock.lock();
    try {
      offer(connection.level, connection.beganNanos, AccessType.UNKNOWN, waited, latencyNanos);
    } finally {
      lock.unlock();
    }
  }

  /// The highest level in use is given up, whichever connection ended.
  private void release(Connection connection) {
    lock.lock();
    try {
      connections.remove(connection);
      connection.announce();
      inUse--;
      for (Connection each : connections) {
        if (each.level == inUse) {
          // That it came may not have been said yet. A level that is taken after it was given up
          // would be held for ever.
          each.announce();
        }
      }
      offer(inUse, host.clock().nanos(), AccessType.RELEASE, false, 0);
    } finally {
      lock.unlock();
    }
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
    loop.closeNow(listener);
    loop.execute(this::dropSpare);
    open.forEach(Connection::reset);
  }

  /// A guest's connection.
  ///
  /// Until its first answer it belongs to the loop, which does not wake other threads for it; then
  /// to a [Relay] with threads of its own.
  private final class Connection {
    private final SocketChannel guest;
    private final long beganNanos;
    private int level;
    private Reserve.Supply supply = new Reserve.Supply.Nothing(false);

    // Of the loop's thread.
    private final List<SelectionKey> keys = new ArrayList<>();
    private ByteBuffer toUpstream = Buffers.empty();
    private ByteBuffer toGuest = Buffers.empty();
    private @Nullable SocketChannel dialing;
    private Loop.@Nullable Timer patience;
    private boolean waits;
    private boolean handedOver;

    // Guarded by the endpoint's lock.
    private boolean announced;

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

    void begin() {
      waits = !(supply instanceof Reserve.Supply.Ready);
      switch (supply) {
        case Reserve.Supply.Ready(SocketChannel channel, ByteBuffer already) -> {
          toGuest = already;
          link(channel);
        }
        case Reserve.Supply.Coming(CompletableFuture<SocketChannel> channel) -> {
          var _ = channel.whenComplete((up, _) -> soon(() -> came(up)));
        }
        case Reserve.Supply.Nothing(_) -> dial();
      }
    }

    /// Says once that a guest came; before anything else of its connection.
    private void announce() {
      lock.lock();
      try {
        if (!announced) {
          announced = true;
          if (supply instanceof Reserve.Supply.Ready) {
            report(this, false, ageNanos());
          } else {
            report(this, true, Access.PENDING);
          }
        }
      } finally {
        lock.unlock();
      }
    }

    /// Does what belongs to this connection. A defect in that, or a class that cannot be read
    /// without a descriptor, costs the connection and not its level.
    private void step(Runnable work) {
      try {
        work.run();
      } catch (RuntimeException | Error e) {
        reset();
        throw e;
      }
    }

    /// Has the loop do what belongs to this connection, soon.
    private void soon(Runnable work) {
      loop.execute(() -> step(work));
    }

    /// The connection that was being opened ahead; if that failed, one more is tried.
    private void came(@Nullable SocketChannel up) {
      if (up == null) {
        dial();
      } else {
        link(up);
        settle();
      }
    }

    private void dial() {
      Optional<List<InetAddress>> known = upstream.knownAddresses();
      if (known.isPresent()) {
        dial(known.get(), new IOException("its name has no address"));
      } else {
        Thread.ofVirtual().name("resolve").start(this::resolve);
      }
    }

    private void resolve() {
      try {
        List<InetAddress> addresses = upstream.addresses();
        soon(() -> dial(addresses, new IOException("its name has no address")));
      } catch (IOException e) {
        soon(() -> fail(e));
      } catch (RuntimeException | Error e) {
        soon(() -> fail(new IOException("its name cannot be resolved", e)));
        throw e;
      }
    }

    /// Connects to the first of some addresses that answers.
    private void dial(List<InetAddress> addresses, IOException last) {
      if (handedOver) {
        return;
      }
      if (addresses.isEmpty()) {
        fail(last);
        return;
      }
      List<InetAddress> others = addresses.subList(1, addresses.size());
      try {
        SocketChannel channel = socket();
        dialing = channel;
        boolean isThere =
            channel.connect(new InetSocketAddress(addresses.getFirst(), upstream.port()));
        if (isThere) {
          connected(channel);
          return;
        }
        patience = loop.schedule(Upstream.PATIENCE.toNanos(), () -> step(() -> giveUp(others)));
        keys.add(
            loop.register(
                channel, SelectionKey.OP_CONNECT, () -> step(() -> finish(channel, others))));
      } catch (IOException e) {
        hangUp();
        dial(others, e);
      } catch (IllegalArgumentException e) {
        hangUp();
        dial(others, Upstream.unusable(addresses.getFirst(), e));
      }
    }

    private void giveUp(List<InetAddress> others) {
      if (dialing != null) {
        hangUp();
        dial(others, new SocketTimeoutException("Connect timed out"));
      }
    }

    private void finish(SocketChannel channel, List<InetAddress> others) {
      try {
        if (channel.finishConnect()) {
          connected(channel);
        }
      } catch (IOException e) {
        hangUp();
        dial(others, e);
      }
    }

    private void connected(SocketChannel channel) {
      dialing = null;
      stopWaiting();
      link(channel);
      settle();
    }

    /// Says once how long a guest had to wait; before its level is given up.
    private void settle() {
      announce();
      if (waits) {
        waits = false;
        report(this, true, ageNanos());
      }
    }

    private void hangUp() {
      if (dialing != null) {
        Relay.close(dialing);
        dialing = null;
      }
      stopWaiting();
      keys.clear();
    }

    private void stopWaiting() {
      if (patience != null) {
        loop.cancel(patience);
        patience = null;
      }
    }

    /// Both ends are there: passes on what they say first, as long as that needs no waiting.
    private void link(SocketChannel up) {
      if (!take(up)) {
        return;
      }
      try {
        guest.configureBlocking(false);
        up.configureBlocking(false);
        boolean done = !introduce(up) || !pass(toGuest, guest) || hear(up);
        if (done) {
          handOver(up);
          return;
        }
        if (keys.isEmpty()) {
          keys.add(loop.register(up, SelectionKey.OP_READ, () -> step(() -> answer(up))));
        } else {
          // It waited for the end of the connect.
          keys.getFirst().attach((Runnable) () -> step(() -> answer(up)));
          keys.getFirst().interestOps(SelectionKey.OP_READ);
        }
        keys.add(loop.register(guest, SelectionKey.OP_READ, () -> step(() -> ask(up))));
      } catch (IOException | CancelledKeyException e) {
        LOG.log(Level.DEBUG, "a connection ends", e);
        abandon();
      }
    }

    private synchronized boolean take(SocketChannel up) {
      Relay mine = new Relay(guest, up, buffers);
      if (handedOver || reset) {
        mine.reset();
        return false;
      }
      relay = mine;
      return true;
    }

    /// Tells the upstream who the guest is where it wants to know; returns whether all of that has
    /// gone out.
    private boolean introduce(SocketChannel up) throws IOException {
      if (!upstream.namesGuests()) {
        return true;
      }
      toUpstream.clear();
      ProxyHeader.write(
          toUpstream,
          (InetSocketAddress) guest.getRemoteAddress(),
          (InetSocketAddress) guest.getLocalAddress());
      toUpstream.flip();
      return pass(toUpstream, up);
    }

    /// The guest says something.
    private void ask(SocketChannel up) {
      try {
        if (hear(up)) {
          handOver(up);
        }
      } catch (IOException e) {
        LOG.log(Level.DEBUG, "a connection ends", e);
        abandon();
      }
    }

    /// Passes on what the guest has said; returns whether a relay has to go on.
    private boolean hear(SocketChannel up) throws IOException {
      int count = guest.read(toUpstream.clear());
      toUpstream.flip();
      return count < 0 || !pass(toUpstream, up);
    }

    /// The upstream says something: from then on it is the business of a relay.
    private void answer(SocketChannel up) {
      try {
        int count = up.read(toGuest.clear());
        toGuest.flip();
        if (count > 0) {
          boolean _ = pass(toGuest, guest);
        }
        handOver(up);
      } catch (IOException e) {
        LOG.log(Level.DEBUG, "a connection ends", e);
        abandon();
      }
    }

    private static boolean pass(ByteBuffer bytes, SocketChannel to) throws IOException {
      while (bytes.hasRemaining()) {
        if (to.write(bytes) == 0) {
          return false;
        }
      }
      return true;
    }

    private void handOver(SocketChannel up) {
      if (handedOver) {
        return;
      }
      handedOver = true;
      loop.detach(keys, () -> startRelay(up));
    }

    private void startRelay(SocketChannel up) {
      try {
        Thread.ofVirtual().name("relay-down").start(() -> relay(up));
      } catch (RuntimeException | Error e) {
        new Relay(guest, up, buffers).reset();
        release(this);
        throw e;
      }
    }

    private void relay(SocketChannel up) {
      Relay mine = new Relay(guest, up, buffers);
      try {
        guest.configureBlocking(true);
        up.configureBlocking(true);
        mine.run(toUpstream, toGuest);
      } catch (IOException e) {
        LOG.log(Level.DEBUG, "a connection ends", e);
      } finally {
        mine.reset();
        release(this);
      }
    }

    /// The upstream cannot be reached.
    private void fail(IOException e) {
      if (handedOver) {
        return;
      }
      failures.incrementAndGet();
      host.trouble()
          .report(
              "upstream",
              "a connection of '"
                  + name
                  + "' was reset: "
                  + IoProblem.explain(IoProblem.in(upstream + " cannot be reached", e)));
      abandon();
    }

    /// Ends it at once; harmless when it has ended.
    void reset() {
      synchronized (this) {
        reset = true;
        if (relay == null) {
          Relay.reset(guest);
        } else {
          relay.reset();
        }
      }
      loop.execute(this::abandon);
    }

    /// Ends it while it is the loop's.
    private void abandon() {
      if (handedOver) {
        return;
      }
      handedOver = true;
      settle();
      hangUp();
      synchronized (this) {
        if (relay == null) {
          Relay.reset(guest);
        } else {
          relay.reset();
        }
      }
      release(this);
    }
  }
}
