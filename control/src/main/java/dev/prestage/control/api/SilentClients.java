package dev.prestage.control.api;

import static java.lang.System.Logger.Level.DEBUG;

import io.helidon.common.socket.SocketOptions;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http.ServerRequest;
import java.io.IOException;
import java.net.Socket;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;

/// Closes connections whose clients keep the server waiting: without this, as many as a listener
/// takes keep everybody else out, and over TCP they need no token for it.
///
/// A connection always has a deadline, however slowly its client sends or takes bytes: for the head
/// of its first request, then for the request's body, for the answer, and for the next request.
/// Only a stream of events has none; [EventStreams] ends those. Helidon's own limit on idle
/// connections does not count those that never sent a request, nor those in the middle of one.
/// Closing the channel ends the read or write in which the connection's thread waits.
///
/// Helidon tells of each accepted connection through its [SocketOptions], as in [PeerCheck], and
/// names the connection of a request by the identity of its channel.
final class SilentClients extends OtherOptions {
  /// How long a client may take.
  ///
  /// @param head for the head of the first request
  /// @param body for the whole body of a request; an answer that needs none of it is within this
  /// @param answer for a command and the taking of its answer
  /// @param idle until the head of the next request
  record Limits(Duration head, Duration body, Duration answer, Duration idle) {}

  private static final System.Logger LOG = System.getLogger(SilentClients.class.getName());

  /// Half of what the difference of two clocks can say.
  private static final Duration EVER = Duration.ofNanos(Long.MAX_VALUE / 2);

  private final Limits limits;
  private final Map<String, Connection> open = new ConcurrentHashMap<>();
  private final LongAdder closed = new LongAdder();

  private static final class Connection {
    final SocketChannel channel;
    final Limits limits;
    volatile long deadlineNanos;

    Connection(SocketChannel channel, Limits limits) {
      this.channel = channel;
      this.limits = limits;
      allow(limits.head());
    }

    void allow(Duration time) {
      deadlineNanos = System.nanoTime() + time.toNanos();
    }
  }

  /// @param rest configures the connections otherwise; what it refuses is not watched
  SilentClients(SocketOptions rest, Limits limits) {
    super(rest);
    this.limits = limits;
  }

  /// Watches the requests of a listener. Must come before every filter that answers.
  void watch(HttpRouting.Builder routing) {
    routing.addFilter((chain, request, _) -> {
      Connection connection = open.get(request.socketId());
      if (connection == null) {
        chain.proceed();
        return;
      }
      connection.allow(request.content().hasEntity() ? limits.body() : limits.answer());
      request.context().register(connection);
      try {
        chain.proceed();
      } finally {
        connection.allow(limits.idle());
      }
    });
  }

  /// A part of a long answer was taken; there is as much time for the next.
  static void taken(ServerRequest request) {
    received(request);
  }

  /// The body of a request is here.
  static void received(ServerRequest request) {
    request
        .context()
        .get(Connection.class)
        .ifPresent(connection -> connection.allow(connection.limits.answer()));
  }

  /// The answer to a request is a stream without an end.
  static void streaming(ServerRequest request) {
    request.context().get(Connection.class).ifPresent(connection -> connection.allow(EVER));
  }

  /// Closes those that are late. To be called now and then.
  void sweep() {
    long now = System.nanoTime();
    open.values()
        .removeIf(connection -> {
          if (!connection.channel.isOpen()) {
            return true;
          }
          if (now - connection.deadlineNanos < 0) {
            return false;
          }
          closed.increment();
          try {
            connection.channel.close();
          } catch (IOException e) {
            LOG.log(DEBUG, "while closing a silent connection", e);
          }
          return true;
        });
  }

  /// How many connections were closed.
  long closed() {
    return closed.sum();
  }

  @Override
  public void configureSocket(SocketChannel socket) {
    rest.configureSocket(socket);
    // As ConnectionHandler of Helidon 4.5.0 makes a request's socketId(). Of two channels with one
    // hash the younger is watched; there are 2^31 hashes.
    String id = "0x" + HexFormat.of().toHexDigits(System.identityHashCode(socket));
    open.put(id, new Connection(socket, limits));
  }

  @Override
  public void configureSocket(Socket socket) {
    rest.configureSocket(socket);
  }
}
