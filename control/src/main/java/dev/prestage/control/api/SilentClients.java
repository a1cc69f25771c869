package dev.prestage.control.api;

import static java.lang.System.Logger.Level.DEBUG;

import io.helidon.common.socket.SocketOptions;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.SocketOption;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;

/// Closes TCP connections that send no request in time: without this, as many as a listener takes
/// keep everybody else out, and they need no token for it.
///
/// A connection has until its deadline to send the whole head of a request, however slowly it
/// sends; while a request is answered it has none; afterwards it may idle. Helidon's own limit on
/// idle connections does not count those that never sent a request. It tells of each accepted
/// connection through its [SocketOptions], as in [PeerCheck].
final class SilentClients implements SocketOptions {
  private static final System.Logger LOG = System.getLogger(SilentClients.class.getName());

  private final SocketOptions rest = SocketOptions.create();
  private final Map<SocketAddress, Connection> open = new ConcurrentHashMap<>();
  private final LongAdder closed = new LongAdder();
  private final Duration firstRequest;
  private final Duration idle;

  private static final class Connection {
    final SocketChannel channel;
    volatile long deadlineNanos;
    volatile boolean answering;

    Connection(SocketChannel channel, long deadlineNanos) {
      this.channel = channel;
      this.deadlineNanos = deadlineNanos;
    }
  }

  /// @param firstRequest how long the head of the first request may take
  /// @param idle how long the next one may take to come
  SilentClients(Duration firstRequest, Duration idle) {
    this.firstRequest = firstRequest;
    this.idle = idle;
  }

  /// The head of a request is here.
  void answering(SocketAddress peer) {
    Connection connection = open.get(peer);
    if (connection != null) {
      connection.answering = true;
    }
  }

  /// It is answered.
  void answered(SocketAddress peer) {
    Connection connection = open.get(peer);
    if (connection != null) {
      connection.deadlineNanos = System.nanoTime() + idle.toNanos();
      connection.answering = false;
    }
  }

  /// Closes those that are late. To be called now and then.
  void sweep() {
    long now = System.nanoTime();
    open.values()
        .removeIf(connection -> {
          if (!connection.channel.isOpen()) {
            return true;
          }
          if (connection.answering || now - connection.deadlineNanos < 0) {
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
    try {
      SocketAddress peer = socket.getRemoteAddress();
      if (peer != null) {
        open.put(peer, new Connection(socket, System.nanoTime() + firstRequest.toNanos()));
      }
    } catch (IOException e) {
      LOG.log(DEBUG, "a connection ended at once", e);
    }
  }

  @Override
  public void configureSocket(Socket socket) {
    rest.configureSocket(socket);
  }

  @Override
  public Map<SocketOption<?>, Object> socketOptions() {
    return rest.socketOptions();
  }

  @Override
  public Duration connectTimeout() {
    return rest.connectTimeout();
  }

  @Override
  public Duration readTimeout() {
    return rest.readTimeout();
  }

  @Override
  public Optional<Integer> socketReceiveBufferSize() {
    return rest.socketReceiveBufferSize();
  }

  @Override
  public Optional<Integer> socketSendBufferSize() {
    return rest.socketSendBufferSize();
  }

  @Override
  public boolean socketReuseAddress() {
    return rest.socketReuseAddress();
  }

  @Override
  public boolean socketKeepAlive() {
    return rest.socketKeepAlive();
  }

  @Override
  public boolean tcpNoDelay() {
    return rest.tcpNoDelay();
  }
}
