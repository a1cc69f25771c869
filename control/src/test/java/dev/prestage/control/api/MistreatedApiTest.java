package dev.prestage.control.api;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.client.PrestageClient;
import dev.prestage.control.command.Command;
import dev.prestage.control.command.Reply;
import dev.prestage.control.command.Role;
import dev.prestage.control.notice.NoticeHub;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.LockSupport;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Clients that say nothing, too little or nonsense, never read, or take the socket away.
@Timeout(60)
final class MistreatedApiTest {
  private static final long NOW = 1_767_225_600_000_000_000L;
  private static final String TOKEN = "a-token-of-some-length";
  private static final Duration LONG = Duration.ofMinutes(10);
  private static final Duration SHORT = Duration.ofMillis(100);

  /// As a model's body begins, and never goes on.
  private static final String HALF_A_CHUNK = "5\r\nabc";

  @TempDir Path folder;
  private final FakeCommands commands = new FakeCommands();
  private Path socket = Path.of("");
  private ApiServer server;

  @BeforeEach
  void start() throws IOException {
    socket = folder.resolve("api.sock");
    start(new SilentClients.Limits(LONG, LONG, LONG, LONG));
  }

  private void start(SilentClients.Limits limits) throws IOException {
    server =
        new ApiServer(
            new ApiServer.Options(
                socket,
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                List.of(
                    new ApiToken(
                        Files.writeString(folder.resolve("token"), TOKEN + "\n"), Role.ADMIN))),
            commands,
            new NoticeHub(() -> NOW),
            () -> NOW,
            Duration.ofMillis(50),
            limits);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private void restart(SilentClients.Limits limits) throws IOException {
    server.close();
    start(limits);
  }

  /// What comes back on the unix socket until the server ends the connection.
  private String say(String request) throws IOException {
    try (SocketChannel channel = onSocket(request)) {
      ByteBuffer answer = ByteBuffer.allocate(1 << 16);
      while (channel.read(answer) >= 0) {
        // until it ends
      }
      return new String(answer.array(), 0, answer.position(), StandardCharsets.UTF_8);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"/health", "/metrics"})
  void aHeadIsAnsweredWithoutBody(String path) throws IOException {
    String answer = say("HEAD " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assertThat(answer).startsWith("HTTP/1.1 200").endsWith("\r\n\r\n");
  }

  @Test
  void aPlusInATimeZoneIsUnderstoodAsItStands() throws IOException {
    say(
        "GET /v1/history?since=2026-01-01T00:30:00+01:00 HTTP/1.1\r\nHost: x\r\n"
            + "Connection: close\r\n\r\n");
    assertThat(commands.last())
        .isInstanceOfSatisfying(
            Command.ShowHistory.class,
            query ->
                assertThat(query.fromNanos()).isEqualTo(NOW - Duration.ofMinutes(30).toNanos()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"zz", "ffffffffffffffff", "-1"})
  void aChunkWithoutASizeEndsTheConnection(String size) throws IOException {
    String answer =
        say(
            "POST /v1/vms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                + size
                + "\r\n");
    assertThat(answer).as("what is answered before the end").isEmpty();
    assertThat(commands.asked).isEmpty();
  }

  @Test
  void aSocketThatWasRemovedIsThereAgain() throws IOException {
    Files.delete(socket);
    while (!Files.exists(socket)) {
      LockSupport.parkNanos(1_000_000);
    }
    awaitHealth();
    assertThat(server.health()).isEqualTo("ok");
  }

  private void awaitHealth() {
    while (true) {
      try (PrestageClient client = PrestageClient.onSocket(socket)) {
        assertThat(client.get("/health").status()).isEqualTo(200);
        return;
      } catch (IOException e) {
        LockSupport.parkNanos(1_000_000);
      }
    }
  }

  @Test
  void clientsThatSendNoRequestAreClosedHoweverSlowlyTheySayIt() throws IOException {
    restart(new SilentClients.Limits(SHORT, LONG, LONG, LONG));
    List<SocketChannel> silent = new ArrayList<>();
    for (int length : new int[] {0, 2, 8}) {
      silent.add(onSocket("GET /hea".substring(0, length)));
      silent.add(onTcp("GET /hea".substring(0, length)));
    }
    assertAllEnd(silent);
  }

  @ParameterizedTest
  @ValueSource(strings = {"POST /v1/models", "POST /v1/vms", "GET /v1/nowhere"})
  void aBodyThatStopsHalfWayEndsTheConnection(String request) throws IOException {
    restart(new SilentClients.Limits(LONG, SHORT, LONG, SHORT));
    String chunked = request + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n";
    String counted = request + " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n";
    String authorized = "Authorization: Bearer " + TOKEN + "\r\n\r\n";
    assertAllEnd(
        List.of(
            onSocket(chunked + "\r\n" + HALF_A_CHUNK),
            onSocket(counted + "\r\nabc"),
            onTcp(chunked + authorized + HALF_A_CHUNK),
            onTcp(counted + authorized + "abc")));
    assertThat(commands.asked).isEmpty();
  }

  /// A client that hangs up within its body is no defect of ours, and no line in the log.
  @Test
  void aClientThatHangsUpWithinItsBodyIsNotLogged() throws IOException {
    List<LogRecord> said = new CopyOnWriteArrayList<>();
    Handler listener =
        new Handler() {
          @Override
          public void publish(LogRecord record) {
            said.add(record);
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger root = Logger.getLogger("");
    root.addHandler(listener);
    try (SocketChannel channel =
        onSocket("POST /v1/vms HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")) {
      channel.shutdownOutput();
      untilItEnds(channel);
    } finally {
      root.removeHandler(listener);
    }
    assertThat(said)
        .filteredOn(record -> record.getLevel().intValue() >= Level.WARNING.intValue())
        .extracting(LogRecord::getMessage)
        .isEmpty();
    assertThat(commands.asked).isEmpty();
  }

  @Test
  void aBodyThatNobodyWasAllowedToSendEndsTheConnection() throws IOException {
    try (SocketChannel channel =
        onTcp(
            "POST /v1/vms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                + HALF_A_CHUNK)) {
      assertThat(untilItEnds(channel)).startsWith("HTTP/1.1 401");
    }
  }

  @Test
  void aClientThatNeverReadsItsAnswerIsClosed() throws IOException {
    commands.model = new byte[Routes.MAX_MODEL_BYTES];
    restart(new SilentClients.Limits(LONG, LONG, SHORT, LONG));
    String request = "GET /v1/models/p HTTP/1.1\r\nHost: x\r\n";
    try (SocketChannel _ = onSocket(request + "\r\n");
        SocketChannel _ = onTcp(request + "Authorization: Bearer " + TOKEN + "\r\n\r\n")) {
      awaitClosed(2);
    }
  }

  @Test
  void aClientThatAsksNothingMoreIsClosed() throws IOException {
    restart(new SilentClients.Limits(LONG, LONG, LONG, SHORT));
    try (SocketChannel channel = onSocket("HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n")) {
      assertThat(untilItEnds(channel)).startsWith("HTTP/1.1 200").endsWith("\r\n\r\n");
    }
    awaitClosed(1);
  }

  @Test
  void aStreamOfEventsGoesOnBeyondEveryLimit() throws IOException {
    restart(new SilentClients.Limits(LONG, SHORT, SHORT, SHORT));
    try (SocketChannel events = onSocket("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
        SocketChannel idle = onSocket("HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n")) {
      ByteBuffer some = ByteBuffer.allocate(1 << 10);
      assertThat(events.read(some)).isPositive();
      untilItEnds(idle); // the stream is older, and would have been closed by now
      for (int i = 0; i < 10; i++) {
        assertThat(events.read(some.clear())).isPositive();
      }
    }
  }

  private SocketChannel onSocket(String beginning) throws IOException {
    return said(SocketChannel.open(UnixDomainSocketAddress.of(socket)), beginning);
  }

  private SocketChannel onTcp(String beginning) throws IOException {
    return said(
        SocketChannel.open(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), server.tcpPort())),
        beginning);
  }

  private static SocketChannel said(SocketChannel channel, String beginning) throws IOException {
    channel.write(ByteBuffer.wrap(beginning.getBytes(StandardCharsets.US_ASCII)));
    return channel;
  }

  private void assertAllEnd(List<SocketChannel> channels) throws IOException {
    for (SocketChannel channel : channels) {
      untilItEnds(channel);
      channel.close();
    }
    awaitClosed(channels.size());
  }

  /// What is said on a connection until the server ends it, in order or not.
  private static String untilItEnds(SocketChannel channel) {
    ByteBuffer answer = ByteBuffer.allocate(1 << 16);
    try {
      while (channel.read(answer) >= 0) {
        // until it ends
      }
    } catch (IOException e) {
      // ended, not in order
    }
    return new String(answer.array(), 0, answer.position(), StandardCharsets.UTF_8);
  }

  /// Until the server has closed so many silent connections by itself.
  private void awaitClosed(int connections) {
    while (closedConnections() < connections) {
      LockSupport.parkNanos(1_000_000);
    }
    assertThat(closedConnections()).isEqualTo(connections);
  }

  private double closedConnections() {
    return server.counters().stream()
        .filter(counter -> counter.name().equals("api_silent_clients_closed"))
        .mapToDouble(Reply.Counter::value)
        .sum();
  }
}
