package dev.prestage.dataplane.nbd;

import dev.prestage.dataplane.block.Disk;
import dev.prestage.dataplane.edge.Trouble;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.host.UnixSockets;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// Serves disks over NBD, on a unix socket and, if asked to, on TCP: fixed newstyle, read-only,
/// simple and structured replies.
///
/// One platform thread for each listening socket and each connection. A client that misbehaves, or
/// does not read its replies, harms its own connection only.
public final class NbdServer implements AutoCloseable {
  private static final Logger LOG = System.getLogger(NbdServer.class.getName());

  // A client that has not chosen an export after this long may be turned out for another.
  private static final long NEGOTIATION_NANOS = Duration.ofSeconds(10).toNanos();
  // When accepting fails (no descriptors left), connections must end before it can succeed.
  private static final long ACCEPT_PAUSE_NANOS = Duration.ofMillis(100).toNanos();

  // Telling a client takes a thread for a moment; one that does not listen makes room for the next.
  private static final int MOST_REFUSED = 16;

  private static final long CLOSE_NANOS = Duration.ofSeconds(1).toNanos();

  private final Exports exports;
  private final NbdLimits limits;
  private final Clock clock;
  private final List<ServerSocketChannel> listeners = new ArrayList<>();
  private final Map<NbdConnection, Thread> connections = new ConcurrentHashMap<>();
  // Clients for which there was no connection, while they are being told so.
  private final Map<NbdConnection, Thread> refused = new ConcurrentHashMap<>();
  private final Path socket;
  private final ReplyMemory memory;
  private final Trouble trouble;
  private final ClientLog log;
  private volatile boolean closed;

  /// Listens on a unix socket.
  ///
  /// @throws IOException with one line that says what is wrong with the path
  public NbdServer(Exports exports, NbdLimits limits, Clock clock, Trouble trouble, Path socket)
      throws IOException {
    this.exports = exports;
    this.limits = limits;
    this.clock = clock;
    this.socket = socket;
    this.trouble = trouble;
    this.log = new ClientLog(clock);
    this.memory =
        new ReplyMemory(clock, limits.bytesInAll(), limits.bytesPerVm(), this::turnOutSlowest);
    // Virtual machine monitors often run as a user of their own: the socket's group may connect.
    listen(UnixSockets.listen(socket, "rw-rw----"), socket.toString());
  }

  /// Listens on TCP, too. There is no authentication: whoever reaches the address can read.
  ///
  /// @return the address, with the port that was chosen if none was given
  public InetSocketAddress listenOn(InetSocketAddress address) throws IOException {
    ServerSocketChannel listener = ServerSocketChannel.open();
    try {
      listener.bind(address);
    } catch (IOException e) {
      listener.close();
      throw new IOException("cannot listen on " + address + ": " + e.getMessage(), e);
    }
    listen(listener, address.toString());
    return (InetSocketAddress) listener.getLocalAddress();
  }

  private void listen(ServerSocketChannel listener, String name) {
    listeners.add(listener);
    Thread.ofPlatform().daemon().name("nbd-accept-" + name).start(() -> accept(listener));
  }

  private void accept(ServerSocketChannel listener) {
    while (!closed) {
      try {
        welcome(listener.accept());
      } catch (ClosedChannelException _) {
        return;
      } catch (IOException e) {
        trouble.report("nbd-connections", "cannot accept NBD clients: " + e.getMessage());
        LockSupport.parkNanos(ACCEPT_PAUSE_NANOS);
      } catch (OutOfMemoryError e) {
        // No memory or no thread for one more client must not be the end of all that follow.
        trouble.report("nbd-connections", "turned an NBD client away: " + e.getMessage());
        LockSupport.parkNanos(ACCEPT_PAUSE_NANOS);
      }
    }
  }

  private void welcome(SocketChannel channel) throws IOException {
    if (connections.size() >= limits.connections()) {
      long before = clock.nanos() - NEGOTIATION_NANOS;
      connections.keySet().stream()
          .filter(c -> c.isNegotiatingSince(before))
          .forEach(NbdConnection::close);
    }
    String refusal = null;
    if (connections.size() >= limits.connections()) {
      refusal =
          "all "
              + limits.connections()
              + " NBD connections are in use; end some or raise nbd.connections";
      trouble.report("nbd-connections", "turned an NBD client away: " + refusal);
    }
    try {
      serve(channel, refusal);
    } catch (IOException | OutOfMemoryError e) {
      channel.close();
      throw e;
    }
  }

  private void serve(SocketChannel channel, @Nullable String refusal) throws IOException {
    if (channel.supportedOptions().contains(StandardSocketOptions.TCP_NODELAY)) {
      channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      channel.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
    }
    Map<NbdConnection, Thread> among = refusal == null ? connections : refused;
    var connection =
        new NbdConnection(
            channel, exports, limits, memory, clock, trouble, log, refusal, among::remove);
    if (refusal != null) {
      makeRoomAmongRefused();
    }
    Thread thread = Thread.ofPlatform().daemon().name("nbd").unstarted(connection);
    among.put(connection, thread);
    try {
      thread.start();
    } catch (OutOfMemoryError e) {
      among.remove(connection);
      throw e;
    }
    if (closed) {
      connection.close();
    }
  }

  private void makeRoomAmongRefused() {
    if (refused.size() >= MOST_REFUSED) {
      refused.keySet().stream()
          .min(Comparator.comparingLong(NbdConnection::beganNanos))
          .ifPresent(oldest -> {
            oldest.close();
            refused.remove(oldest);
          });
    }
  }

  /// Of the clients that are slow, ends the one whose replies hold the most memory.
  private void turnOutSlowest() {
    NbdConnection slowest = null;
    long most = 0;
    for (NbdConnection connection : connections.keySet()) {
      long held = connection.bytesHeldSlowly();
      if (held > most) {
        slowest = connection;
        most = held;
      }
    }
    if (slowest != null) {
      trouble.report(
          "nbd-slow",
          "an NBD client of VM '"
              + slowest.vmName()
              + "' takes less than "
              + limits.leastBytesPerSecond()
              + " bytes/s of its replies while others wait for their memory: its connection is"
              + " closed");
      slowest.close();
    }
  }

  /// How many connections a disk has.
  public long connections(Disk disk) {
    return connections.keySet().stream().filter(c -> c.serves(disk)).count();
  }

  /// Ends all connections to a disk.
  public void disconnect(Disk disk) {
    connections.keySet().stream().filter(c -> c.serves(disk)).forEach(NbdConnection::close);
  }

  /// How many clients are connected.
  public int connections() {
    return connections.size();
  }

  /// Ends all connections. Reads that wait for an origin (`PendingRead`) are not waited for.
  @Override
  public void close() throws IOException {
    closed = true;
    for (ServerSocketChannel listener : listeners) {
      listener.close();
    }
    List<Thread> threads = List.copyOf(connections.values());
    connections.keySet().forEach(NbdConnection::close);
    refused.keySet().forEach(NbdConnection::close);
    // None may read on while the tier is being closed.
    long deadline = System.nanoTime() + CLOSE_NANOS;
    for (Thread thread : threads) {
      join(thread, deadline);
    }
    Files.deleteIfExists(socket);
  }

  private static void join(Thread thread, long deadlineNanos) {
    try {
      long left = deadlineNanos - System.nanoTime();
      if (left > 0 && !thread.join(Duration.ofNanos(left))) {
        LOG.log(Level.INFO, "{0} is left behind", thread.getName());
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }
}
