package dev.prestage.control.api;

import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.command.Commands;
import dev.prestage.control.command.Reply;
import dev.prestage.control.command.Role;
import dev.prestage.control.notice.NoticeHub;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.host.UnixSockets;
import io.helidon.common.socket.SocketOptions;
import io.helidon.http.DirectHandler;
import io.helidon.http.HeaderNames;
import io.helidon.http.ServerResponseHeaders;
import io.helidon.http.Status;
import io.helidon.webserver.ListenerConfig;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.WebServerConfig;
import io.helidon.webserver.http.DirectHandlers;
import io.helidon.webserver.http.HttpRouting;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.UnresolvedAddressException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jspecify.annotations.Nullable;

/// The API on its sockets: a unix socket for this process's user and root, and, when configured,
/// TCP for who has the token.
///
/// Threading: one virtual thread per connection; commands run on it and wait for their answers.
public final class ApiServer implements AutoCloseable {
  /// Where the API listens.
  ///
  /// @param socket the unix socket, at most 107 bytes of path; its folder is made if it is missing
  /// @param tcp the TCP address as well, or null for none; port 0 picks a free one
  /// @param tokens what TCP clients send; at least one with `tcp`
  public record Options(Path socket, @Nullable InetSocketAddress tcp, List<ApiToken> tokens) {
    /// The unix socket only.
    public Options(Path socket) {
      this(socket, null, List.of());
    }
  }

  private static final System.Logger LOG = System.getLogger(ApiServer.class.getName());
  private static final String TCP = "tcp";
  private static final Duration KEEP_ALIVE = Duration.ofSeconds(15);

  /// A connection costs two descriptors' worth of kernel memory and one virtual thread. The bound
  /// keeps an eager client from using up the process's descriptors, which would end the listener.
  private static final int MAX_CONNECTIONS = 512;

  /// Requests under way get this long when the server stops.
  private static final Duration GRACE = Duration.ofSeconds(1);

  /// Helidon announces each socket at level INFO. Held here because the JDK forgets the level of a
  /// logger that nobody holds.
  private static final Logger HELIDON = Logger.getLogger("io.helidon");

  /// A listener that ended, or a socket that was removed, is there again after this time.
  private static final Duration WATCH = Duration.ofSeconds(1);

  /// The head of a request is a few hundred bytes. The largest body, a model of 16 MiB, comes in
  /// time at 7 Mbit/s. A command takes at most 30 s, which leaves as much for its answer. A client
  /// that keeps a connection asks again within a minute, or connects anew.
  private static final SilentClients.Limits LIMITS =
      new SilentClients.Limits(
          Duration.ofSeconds(5),
          Duration.ofSeconds(20),
          Duration.ofMinutes(1),
          Duration.ofMinutes(1));

  private final Options options;
  private final Routes routes;
  private final @Nullable TcpTokens tokens;
  private final SilentClients onSocket;
  private final SilentClients onTcp;
  private final ReentrantLock starting = new ReentrantLock();
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Thread watcher =
      Thread.ofPlatform().name("api-watch").daemon().unstarted(this::watch);
  private volatile WebServer server;
  private volatile String trouble = "";
  private final EventStreams events;
  private final PeerCheck peers;
  private final LongAdder wrongTokens = new LongAdder();
  private final LongAdder restarts = new LongAdder();
  private final @Nullable InetSocketAddress tcp;

  /// Starts to listen; commands may come before this returns.
  ///
  /// @throws IOException one line for the operator: the socket is taken, the token is missing
  public ApiServer(Options options, Commands commands, NoticeHub hub, Clock clock)
      throws IOException {
    this(options, commands, hub, clock, KEEP_ALIVE);
  }

  ApiServer(Options options, Commands commands, NoticeHub hub, Clock clock, Duration keepAlive)
      throws IOException {
    this(options, commands, hub, clock, keepAlive, LIMITS);
  }

  ApiServer(
      Options options,
      Commands commands,
      NoticeHub hub,
      Clock clock,
      Duration keepAlive,
      SilentClients.Limits limits)
      throws IOException {
    if (HELIDON.getLevel() == null) {
      HELIDON.setLevel(Level.WARNING);
    }
    InetSocketAddress asked = options.tcp();
    this.options = options;
    this.tokens = asked == null ? null : new TcpTokens(asked, options.tokens());
    UnixSockets.prepare(options.socket());
    this.events = new EventStreams(hub, keepAlive);
    this.peers = new PeerCheck(PeerCheck.allowed());
    this.onSocket = new SilentClients(peers, limits);
    this.onTcp = new SilentClients(SocketOptions.create(), limits);
    this.routes = new Routes(commands, events, new AllocationWait(commands, hub), clock);
    this.server = start(asked);
    this.tcp = asked == null ? null : new InetSocketAddress(asked.getAddress(), server.port(TCP));
    watcher.start();
  }

  /// Listens on the sockets. Helidon ends a listener for good at the first connection that it
  /// cannot take, for want of a descriptor; so this is called again when one has ended.
  private WebServer start(@Nullable InetSocketAddress tcp) throws IOException {
    HttpRouting.Builder socketRouting = HttpRouting.builder();
    Routes.closing(socketRouting);
    onSocket.watch(socketRouting);
    socketRouting.addFilter((chain, request, _) -> {
      request.context().register(Role.ADMIN);
      chain.proceed();
    });
    routes.on(socketRouting);
    WebServerConfig.Builder builder =
        limits(WebServer.builder())
            .bindAddress(UnixDomainSocketAddress.of(options.socket()))
            .connectionOptions(onSocket)
            .shutdownHook(false)
            .featuresDiscoverServices(false)
            .routing(socketRouting);
    if (tcp != null) {
      HttpRouting.Builder tcpRouting = HttpRouting.builder();
      Routes.closing(tcpRouting);
      onTcp.watch(tcpRouting);
      tcpRouting.addFilter((chain, request, response) -> {
        String given = request.headers().first(HeaderNames.AUTHORIZATION).orElse("");
        Role role = tokens == null ? null : tokens.role(given);
        if (role == null) {
          wrongTokens.increment();
          Routes.send(response, Problem.unauthorized());
        } else {
          request.context().register(role);
          chain.proceed();
        }
      });
      routes.on(tcpRouting);
      builder.putSocket(
          TCP,
          limits(ListenerConfig.builder())
              .bindAddress(tcp)
              .connectionOptions(onTcp)
              .routing(tcpRouting)
              .build());
    }
    WebServer next = builder.build();
    tryToBind(UnixDomainSocketAddress.of(options.socket()));
    Files.deleteIfExists(options.socket());
    if (tcp != null) {
      tryToBind(tcp);
    }
    next.start();
    if (!next.isRunning()) {
      throw new IOException(
          "the API cannot listen on " + options.socket() + "; the log above has the reason");
    }
    try {
      UnixSockets.guard(options.socket(), UnixSockets.OWNER_ONLY);
    } catch (IOException e) {
      next.stop();
      throw new IOException(
          "the API's socket "
              + options.socket()
              + " cannot be kept to its user ("
              + e.getMessage()
              + "); configure a path on a file system with permissions",
          e);
    }
    return next;
  }

  private void watch() {
    try {
      while (!closed.await(WATCH.toMillis(), TimeUnit.MILLISECONDS)) {
        onSocket.sweep();
        onTcp.sweep();
        if (!isListening()) {
          listenAgain();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /// A listener that ends removes its unix socket; over TCP only the attempt to connect tells.
  private boolean isListening() {
    if (!server.isRunning() || !Files.exists(options.socket())) {
      return false;
    }
    InetSocketAddress address = tcp;
    if (address == null) {
      return true;
    }
    InetAddress host =
        address.getAddress().isAnyLocalAddress()
            ? InetAddress.getLoopbackAddress()
            : address.getAddress();
    try (Socket probe = new Socket()) {
      probe.connect(new InetSocketAddress(host, address.getPort()), (int) WATCH.toMillis());
      return true;
    } catch (ConnectException _) {
      return false;
    } catch (IOException _) {
      return true; // without descriptors, or with a full queue, nobody knows
    }
  }

  private void listenAgain() {
    starting.lock();
    try {
      if (closed.getCount() == 0) {
        return;
      }
      server.stop();
      server = start(tcp);
      restarts.increment();
      trouble = "";
      LOG.log(
          WARNING, "the API had stopped listening, or its socket was removed; it listens again");
    } catch (IOException | RuntimeException e) {
      String text = "the API does not listen (" + e.getMessage() + "); trying again";
      if (!text.equals(trouble)) {
        trouble = text;
        LOG.log(WARNING, text);
      }
    } finally {
      starting.unlock();
    }
  }

  /// The TCP port that is listened on, or -1.
  public int tcpPort() {
    InetSocketAddress address = tcp;
    return address == null ? -1 : address.getPort();
  }

  /// `ok`, or one line that says what is wrong.
  public String health() {
    return trouble.isEmpty() ? "ok" : trouble;
  }

  /// What this server counts, for the metrics.
  public List<Reply.Counter> counters() {
    return List.of(
        new Reply.Counter("api_peers_refused", Map.of(), true, peers.refused()),
        new Reply.Counter("api_wrong_tokens", Map.of(), true, wrongTokens.sum()),
        new Reply.Counter(
            "api_silent_clients_closed", Map.of(), true, onSocket.closed() + onTcp.closed()),
        new Reply.Counter("api_restarts", Map.of(), true, restarts.sum()));
  }

  /// Ends the streams of events, lets requests under way finish for a second, and removes the
  /// socket.
  @Override
  public void close() {
    closed.countDown();
    events.close();
    starting.lock();
    try {
      server.stop();
    } finally {
      starting.unlock();
    }
  }

  private static <B extends ListenerConfig.BuilderBase<B, ?>> B limits(B builder) {
    return builder
        .maxTcpConnections(MAX_CONNECTIONS)
        .maxPayloadSize(Routes.MAX_MODEL_BYTES)
        .shutdownGracePeriod(GRACE)
        .directHandlers(problems());
  }

  /// What Helidon finds wrong before a route is found, as problems too.
  private static DirectHandlers problems() {
    DirectHandlers.Builder handlers = DirectHandlers.builder();
    for (DirectHandler.EventType type : DirectHandler.EventType.values()) {
      handlers.addHandler(type, ApiServer::problem);
    }
    return handlers.build();
  }

  private static DirectHandler.TransportResponse problem(
      DirectHandler.TransportRequest request,
      DirectHandler.EventType type,
      Status status,
      ServerResponseHeaders headers,
      String message) {
    String line = message == null ? "" : message.lines().findFirst().orElse("");
    Problem problem;
    if (type == DirectHandler.EventType.INTERNAL_ERROR) {
      problem = Problem.unexpected();
    } else if (status.code() == Status.REQUEST_ENTITY_TOO_LARGE_413.code()) {
      problem = Problem.tooLarge(Routes.MAX_MODEL_BYTES);
    } else {
      problem = Problem.http(status, line.isEmpty() ? status.reasonPhrase() : line);
    }
    return DirectHandler.TransportResponse.builder()
        .status(status)
        .headers(headers)
        .header(HeaderNames.CONTENT_TYPE, Problem.MEDIA_TYPE)
        .keepAlive(type.keepAlive())
        .entity(Json.write(problem))
        .build();
  }

  /// Binds and lets go. Helidon only logs why it cannot bind, so this finds out before.
  private static void tryToBind(SocketAddress address) throws IOException {
    try (ServerSocketChannel channel =
        address instanceof UnixDomainSocketAddress
            ? ServerSocketChannel.open(StandardProtocolFamily.UNIX)
            : ServerSocketChannel.open()) {
      channel.bind(address);
    } catch (IOException | UnresolvedAddressException e) {
      throw new IOException(
          "the API cannot listen on "
              + address
              + " ("
              + (e.getMessage() == null ? "the host is unknown" : e.getMessage())
              + "); free the address or configure another",
          e);
    }
  }
}
