package dev.prestage.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketTimeoutException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Against a server that says what the test wants, down to the byte. Against the real one it is
/// tested where that one lives.
@SuppressWarnings("StringConcatToTextBlock") // every CR and LF matters here
final class PrestageClientTest {
  @TempDir Path folder;

  private final BlockingQueue<String> requests = new LinkedBlockingQueue<>();
  private Path socket;
  private ServerSocketChannel server;
  private PrestageClient client;

  @BeforeEach
  void start() throws IOException {
    socket = folder.resolve("api.sock");
    server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    server.bind(UnixDomainSocketAddress.of(socket));
    client = PrestageClient.onSocket(socket);
  }

  @AfterEach
  void stop() throws IOException {
    client.close();
    server.close();
  }

  @Test
  void aDownloadIsHandedOverAsItComesAndOneThatEndsEarlyFails() throws Exception {
    answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na,b\r\n0\r\n\r\n");
    ByteArrayOutputStream whole = new ByteArrayOutputStream();
    client.download("/v1/history/export", whole);
    assertThat(whole).hasToString("a,b");
    answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na,b\r\n");
    ByteArrayOutputStream part = new ByteArrayOutputStream();
    assertThatThrownBy(() -> client.download("/v1/history/export", part))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("ended");
    assertThat(part).hasToString("a,b");
  }

  @Test
  void aRequestIsPlainHttp() throws Exception {
    answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}");
    ApiResponse response = client.put("/v1/predicting", "{\"on\":\"\u00e4\"}");
    assertThat(response.status()).isEqualTo(200);
    assertThat(response.contentType()).isEqualTo("application/json");
    assertThat(response.text()).isEqualTo("{}");
    assertThat(requests.take())
        .isEqualTo(
            "PUT /v1/predicting HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                + "Content-Length: 11\r\nContent-Type: application/json\r\n\r\n"
                + "{\"on\":\"\u00e4\"}");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "HTTP/1.1 200 OK\r\ncontent-length:  5 \r\n\r\nhello, and what follows",
        "HTTP/1.1 200 OK\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: z\r\n\r\n",
      })
  void theBodyComesByLengthByChunksOrToTheEnd(String answer) throws IOException {
    answer(answer);
    assertThat(client.get("/").text()).isEqualTo("hello");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "HTTP/1.1 200",
        "220 smtp ready\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
      })
  void aBrokenAnswerIsAnErrorNeverAShorterBody(String answer) {
    answer(answer);
    assertThatThrownBy(() -> client.get("/"))
        .isInstanceOf(IOException.class)
        .isNotInstanceOf(ApiException.class);
  }

  @Test
  void anErrorSpeaksWithTheApisWords() {
    String problem =
        "{\"type\": \"urn:prestage:unknown\",\"status\":404, \"title\":\"x\","
            + "\"detail\":\"no \\\"vm\\u0031\\\";\\tregister\\\\it\"}";
    answer("HTTP/1.1 404 Not Found\r\nContent-Length: " + problem.length() + "\r\n\r\n" + problem);
    assertThatThrownBy(() -> client.delete("/v1/vms/vm1"))
        .isInstanceOfSatisfying(
            ApiException.class,
            e -> {
              assertThat(e.status()).isEqualTo(404);
              assertThat(e.type()).isEqualTo("urn:prestage:unknown");
              assertThat(e.title()).isEqualTo("x");
              assertThat(e).hasMessage("no \"vm1\";\tregister\\it");
            });
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "<html>", "{", "{\"detail\"", "{\"detail\":[1]}", "{\"a\":{}}", "\"\\u12"})
  void anErrorWithoutAProblemStillNamesItsStatus(String body) {
    answer("HTTP/1.1 502 Bad Gateway\r\n\r\n" + body);
    assertThatThrownBy(() -> client.get("/"))
        .isInstanceOf(ApiException.class)
        .hasMessageContaining("502");
  }

  // The server takes nothing in and stays until it was heard: one that closes with bytes unread
  // resets the connection,
  // and whether its answer outlives that is the kernel's to say.
  @Test
  void aRefusalThatCameBeforeTheRequestWasReadIsHeard() throws Exception {
    CountDownLatch heard = new CountDownLatch(1);
    Thread thread =
        Thread.ofVirtual()
            .start(() -> {
              try (SocketChannel channel = server.accept()) {
                channel.shutdownInput();
                send(channel, "HTTP/1.1 403 Forbidden\r\n\r\n{\"detail\":\"not you\"}");
                channel.shutdownOutput();
                heard.await();
              } catch (IOException | InterruptedException e) {
                throw new AssertionError(e);
              }
            });
    assertThatThrownBy(() -> client.postBytes("/v1/models", new byte[5_000_000]))
        .isInstanceOf(ApiException.class)
        .hasMessage("not you");
    heard.countDown();
    thread.join();
  }

  @Test
  void eventsAreParsedAsTheStandardSays() throws IOException {
    answer(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunk(": hello\n\nid: 1\nevent: staged\nda")
            + chunk("ta: {\ndata:  \"a\"\r\ndata:}\n\n")
            + chunk("event: queued\n\n")
            + chunk("id:2\nevent:missed\ndata\nretry: 5\n\nid:3\ndata: cut short")
            + "0\r\n\r\n");
    List<ApiEvent> events = new ArrayList<>();
    client.events("7", events::add);
    assertThat(events)
        .containsExactly(
            new ApiEvent("1", "staged", "{\n \"a\"\n}"), new ApiEvent("2", "missed", ""));
    assertThat(requests.remove()).contains("Last-Event-ID: 7\r\n");
  }

  @Test
  void closingEndsAStreamWithoutAnError() throws Exception {
    BlockingQueue<ApiEvent> events = new LinkedBlockingQueue<>();
    Thread peer =
        Thread.ofVirtual()
            .start(() -> {
              try (SocketChannel channel = server.accept()) {
                send(channel, "HTTP/1.1 200 OK\r\n\r\nid: 1\ndata: x\n\n");
                while (channel.read(ByteBuffer.allocate(4096)) >= 0) {
                  // until the client goes
                }
              } catch (IOException e) {
                throw new AssertionError(e);
              }
            });
    Thread listener =
        Thread.ofVirtual()
            .start(() -> {
              try {
                client.events(null, events::add);
              } catch (IOException e) {
                throw new AssertionError(e);
              }
            });
    assertThat(events.take().id()).isEqualTo("1");
    client.close();
    listener.join();
    peer.join();
  }

  @Test
  void aServerThatDoesNotAnswerIsGivenUp() {
    assertThatThrownBy(() -> client.withTimeout(Duration.ofMillis(50)).get("/"))
        .isInstanceOf(SocketTimeoutException.class)
        .hasMessageContaining("no answer from " + socket);
  }

  @Test
  void nobodyThereIsOneClearError() {
    Path nowhere = folder.resolve("nowhere.sock");
    assertThatThrownBy(() -> PrestageClient.onSocket(nowhere).get("/"))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("no Prestage at " + nowhere);
    InetSocketAddress unknown = InetSocketAddress.createUnresolved("host.invalid", 1);
    assertThatThrownBy(() -> PrestageClient.onTcp(unknown, "token").get("/"))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("no Prestage at host.invalid:1");
  }

  @Test
  void nothingIsSmuggledIntoTheHeader() {
    for (String path : new String[] {"v1", "/a b", "/a\r\nX: y", "/\u00e4"}) {
      assertThatThrownBy(() -> client.get(path)).isInstanceOf(IllegalArgumentException.class);
    }
    assertThatThrownBy(() -> client.events("1\r\nX: y", _ -> {}))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(
            () -> PrestageClient.onTcp(InetSocketAddress.createUnresolved("h", 1), "a\nb"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageNotContaining("a\nb");
    assertThat(PrestageClient.encode("a b/\u00e4+")).isEqualTo("a%20b%2F%C3%A4%2B");
  }

  /// Answers one connection, once its request is complete.
  private void answer(String text) {
    Thread.ofVirtual()
        .start(() -> {
          try (SocketChannel channel = server.accept()) {
            ByteBuffer buffer = ByteBuffer.allocate(65_536);
            String request = "";
            while (!complete(request) && channel.read(buffer) >= 0) {
              request = StandardCharsets.UTF_8.decode(buffer.duplicate().flip()).toString();
            }
            requests.add(request);
            send(channel, text);
          } catch (IOException e) {
            throw new AssertionError(e);
          }
        });
  }

  private static boolean complete(String request) {
    int end = request.indexOf("\r\n\r\n");
    if (end < 0) {
      return false;
    }
    int length = request.indexOf("Content-Length: ");
    return length < 0
        || request.substring(end + 4).getBytes(StandardCharsets.UTF_8).length
            >= Integer.parseInt(request.substring(length + 16, request.indexOf('\r', length)));
  }

  private static void send(SocketChannel channel, String text) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  private static String chunk(String text) {
    return Integer.toHexString(text.length()) + "\r\n" + text + "\r\n";
  }
}
