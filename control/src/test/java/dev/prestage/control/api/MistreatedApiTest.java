package dev.prestage.control.api;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.client.PrestageClient;
import dev.prestage.control.command.Command;
import dev.prestage.control.notice.NoticeHub;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Clients that say nothing, say nonsense, or take the socket away.
@Timeout(30)
final class MistreatedApiTest {
  private static final long NOW = 1_767_225_600_000_000_000L;
  private static final String TOKEN = "a-token-of-some-length";

  @TempDir Path folder;
  private final FakeCommands commands = new FakeCommands();
  private Path socket = Path.of("");
  private ApiServer server;

  @BeforeEach
  void start() throws IOException {
    socket = folder.resolve("api.sock");
    server =
        new ApiServer(
            new ApiServer.Options(
                socket,
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                Files.writeString(folder.resolve("token"), TOKEN + "\n")),
            commands,
            new NoticeHub(() -> NOW),
            () -> NOW,
            Duration.ofMillis(50),
            Duration.ofMillis(100));
  }

  @AfterEach
  void stop() {
    server.close();
  }

  /// What comes back on the unix socket until the server ends the connection.
  private String say(String request) throws IOException {
    try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
      channel.write(ByteBuffer.wrap(request.getBytes(StandardCharsets.US_ASCII)));
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
  void tcpClientsThatSendNoRequestAreClosedHoweverSlowlyTheySayIt() throws IOException {
    List<Socket> silent = new ArrayList<>();
    try {
      for (int i = 0; i < 3; i++) {
        Socket client = new Socket(InetAddress.getLoopbackAddress(), server.tcpPort());
        client.getOutputStream().write("GET /hea".getBytes(StandardCharsets.US_ASCII), 0, i * 2);
        silent.add(client);
      }
      for (Socket client : silent) {
        assertThat(ended(client)).isTrue();
      }
    } finally {
      for (Socket client : silent) {
        client.close();
      }
    }
    assertThat(server.counters())
        .anySatisfy(counter -> {
          assertThat(counter.name()).isEqualTo("api_silent_clients_closed");
          assertThat(counter.value()).isEqualTo(3);
        });
  }

  /// Whether the server ends a connection, in order or not.
  private static boolean ended(Socket client) {
    try {
      while (client.getInputStream().read() >= 0) {
        // until it ends
      }
      return true;
    } catch (IOException e) {
      return true;
    }
  }
}
