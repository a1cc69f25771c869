package dev.prestage.client;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.SocketTimeoutException;
import java.net.URLEncoder;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Talks to a Prestage on this host by its unix socket, or to one elsewhere by TCP and its token.
///
/// ```java
/// try (PrestageClient prestage = PrestageClient.onSocket(Path.of("prestage.sock"))) {
///   prestage.post("/v1/vms", "{\"vm\":\"vm1\",\"program\":\"web\",\"image\":\"debian12.img\"}");
///   String vms = prestage.get("/v1/vms").text();
/// }
/// ```
///
/// Requests take a path with its query; parts that come from elsewhere go through [#encode]. Every
/// method throws [ApiException] when the API answers with an error, and another [IOException] when
/// there is no answer: nobody listens, the connection broke, the time has passed.
public final class PrestageClient implements AutoCloseable {
  /// Longer than any command takes, shorter than a person waits.
  private static final Duration TIMEOUT = Duration.ofSeconds(30);

  /// The largest answer is a model, at most 16 MiB.
  private static final int MAX_BODY_BYTES = 64 * 1024 * 1024;

  private static final String JSON = "application/json";

  private final SocketAddress address;
  private final @Nullable String token;
  private final Duration timeout;
  private final Set<SocketChannel> streams = ConcurrentHashMap.newKeySet();
  private volatile boolean closed;

  private PrestageClient(SocketAddress address, @Nullable String token, Duration timeout) {
    this.address = address;
    this.token = token;
    this.timeout = timeout;
  }

  /// A client of the Prestage whose socket this is.
  public static PrestageClient onSocket(Path socket) {
    return new PrestageClient(UnixDomainSocketAddress.of(socket), null, TIMEOUT);
  }

  /// A client of the Prestage that listens there.
  ///
  /// @param token what stands in that host's token file
  public static PrestageClient onTcp(InetSocketAddress address, String token) {
    printable("the token", token);
    return new PrestageClient(address, token, TIMEOUT);
  }

  /// The same client, whose requests give up after this time; 30 seconds otherwise.
  public PrestageClient withTimeout(Duration timeout) {
    return new PrestageClient(address, token, timeout);
  }

  /// A name as a part of a path or a query.
  public static String encode(String name) {
    return URLEncoder.encode(name, StandardCharsets.UTF_8).replace("+", "%20");
  }

  /// Asks.
  public ApiResponse get(String path) throws IOException {
    return exchange("GET", path, null, new byte[0]);
  }

  /// Asks for octets, such as a model.
  public byte[] getBytes(String path) throws IOException {
    return get(path).body();
  }

  /// Asks for what may be large, such as an export of history, and hands over the bytes as they
  /// come. The time limit is for each part of the answer, not for the whole.
  ///
  /// @throws IOException also if the answer ended too early; what was handed over is not all then
  public void download(String path, OutputStream to) throws IOException {
    String head = head("GET", path, "");
    AtomicBoolean late = new AtomicBoolean();
    try (SocketChannel channel = connect()) {
      AtomicLong parts = new AtomicLong();
      Thread watch = Thread.ofVirtual().start(() -> closeWhenSilent(channel, parts, late));
      try {
        HttpReader answer = send(channel, head, new byte[0]);
        if (answer.status() != 200) {
          throw problem(answer.status(), read(answer.body()));
        }
        InputStream body = answer.body();
        byte[] part = new byte[64 * 1024];
        for (int count; (count = body.read(part)) >= 0; ) {
          to.write(part, 0, count);
          parts.incrementAndGet();
        }
      } catch (ClosedChannelException e) {
        throw late.get() ? tooLate() : e;
      } finally {
        watch.interrupt();
      }
    }
  }

  /// Makes something of a JSON text, or starts it: an empty text sends no body.
  public ApiResponse post(String path, String json) throws IOException {
    return exchange("POST", path, JSON, json.getBytes(StandardCharsets.UTF_8));
  }

  /// Sends octets, such as a model.
  public ApiResponse postBytes(String path, byte[] body) throws IOException {
    return exchange("POST", path, "application/octet-stream", body);
  }

  /// Sets something to a JSON text.
  public ApiResponse put(String path, String json) throws IOException {
    return exchange("PUT", path, JSON, json.getBytes(StandardCharsets.UTF_8));
  }

  /// Removes something.
  public ApiResponse delete(String path) throws IOException {
    return exchange("DELETE", path, null, new byte[0]);
  }

  /// Hands over the API's events as they come, on this thread, until the API ends the stream, this
  /// client is closed, or this thread is interrupted.
  ///
  /// @param lastId the id of the last event that was seen, to get what was missed since; null to
  ///   begin now
  /// @param consumer gets each event; what it throws ends the stream and comes out here
  public void events(@Nullable String lastId, Consumer<ApiEvent> consumer) throws IOException {
    String fields = "Accept: text/event-stream\r\n";
    if (lastId != null) {
      printable("the last id", lastId);
      fields += "Last-Event-ID: " + lastId + "\r\n";
    }
    try (SocketChannel channel = connect()) {
      streams.add(channel);
      try {
        if (closed) {
          return;
        }
        HttpReader answer = send(channel, head("GET", "/v1/events", fields), new byte[0]);
        if (answer.status() != 200) {
          throw problem(answer.status(), read(answer.body()));
        }
        parse(answer.body(), consumer);
      } catch (ClosedChannelException _) {
        // closed by close() or by an interrupt, which stays set
      } finally {
        streams.remove(channel);
      }
    }
  }

  /// Ends all streams of events. Requests under way are not touched.
  @Override
  public void close() {
    closed = true;
    for (SocketChannel channel : streams) {
      try {
        channel.close();
      } catch (IOException _) {
        // it is gone in any case
      }
    }
  }

  private ApiResponse exchange(
      String method, String path, @Nullable String contentType, byte[] body) throws IOException {
    String fields = "";
    if (contentType != null) {
      fields = "Content-Length: " + body.length + "\r\n";
      if (body.length > 0) {
        fields += "Content-Type: " + contentType + "\r\n";
      }
    }
    String head = head(method, path, fields);
    AtomicBoolean late = new AtomicBoolean();
    try (SocketChannel channel = connect()) {
      Thread watch = Thread.ofVirtual().start(() -> closeAfter(timeout, channel, late));
      try {
        HttpReader answer = send(channel, head, body);
        byte[] content = read(answer.body());
        if (answer.status() < 200 || answer.status() > 299) {
          throw problem(answer.status(), content);
        }
        return new ApiResponse(answer.status(), answer.field("content-type"), content);
      } catch (ClosedChannelException e) {
        throw late.get() ? tooLate() : e;
      } finally {
        watch.interrupt();
      }
    }
  }

  private SocketTimeoutException tooLate() {
    return new SocketTimeoutException(
        "no answer from " + name() + " within " + timeout.toSeconds() + " s");
  }

  private void closeWhenSilent(SocketChannel channel, AtomicLong parts, AtomicBoolean late) {
    try {
      for (long before = -1; parts.get() != before; ) {
        before = parts.get();
        Thread.sleep(timeout);
      }
      late.set(true);
      channel.close();
    } catch (InterruptedException _) {
      // answered in time
    } catch (IOException _) {
      // it is gone in any case
    }
  }

  private String head(String method, String path, String fields) {
    printable("the path", path);
    if (!path.startsWith("/")) {
      throw new IllegalArgumentException("the path '" + path + "' does not begin with a slash");
    }
    StringBuilder head = new StringBuilder();
    head.append(method).append(' ').append(path).append(" HTTP/1.1\r\n");
    head.append("Host: ").append(host()).append("\r\n");
    head.append("Connection: close\r\n");
    if (token != null) {
      head.append("Authorization: Bearer ").append(token).append("\r\n");
    }
    return head.append(fields).append("\r\n").toString();
  }

  private String host() {
    return address instanceof InetSocketAddress inet
        ? (inet.getHostString().contains(":")
                ? "[" + inet.getHostString() + "]"
                : inet.getHostString())
            + ":"
            + inet.getPort()
        : "localhost";
  }

  private SocketChannel connect() throws IOException {
    try {
      return SocketChannel.open(address);
    } catch (IOException | java.nio.channels.UnresolvedAddressException e) {
      throw new IOException(
          "no Prestage at "
              + name()
              + " ("
              + (e.getMessage() == null ? "the host is unknown" : e.getMessage())
              + "); is it running, and may this user use it?",
          e);
    }
  }

  private String name() {
    return address instanceof InetSocketAddress inet
        ? inet.getHostString() + ":" + inet.getPort()
        : address.toString();
  }

  private static HttpReader send(SocketChannel channel, String head, byte[] body)
      throws IOException {
    InputStream in = Channels.newInputStream(channel);
    try {
      write(channel, head.getBytes(StandardCharsets.ISO_8859_1));
      write(channel, body);
    } catch (ClosedChannelException e) {
      throw e;
    } catch (IOException e) {
      // A server that refuses may answer and close before it has read: its answer says more than
      // the broken pipe.
      try {
        return HttpReader.open(in);
      } catch (IOException second) {
        e.addSuppressed(second);
        throw e;
      }
    }
    return HttpReader.open(in);
  }

  private static void write(SocketChannel channel, byte[] bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
  }

  private static byte[] read(InputStream body) throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    byte[] part = new byte[8192];
    for (int count; (count = body.read(part)) >= 0; ) {
      if (all.size() + count > MAX_BODY_BYTES) {
        throw new IOException("the answer is larger than " + MAX_BODY_BYTES + " bytes");
      }
      all.write(part, 0, count);
    }
    return all.toByteArray();
  }

  /// Server-sent events (WHATWG HTML, 9.2): fields up to an empty line; comments begin with a
  /// colon.
  private static void parse(InputStream body, Consumer<ApiEvent> consumer) throws IOException {
    BufferedReader lines = new BufferedReader(new InputStreamReader(body, StandardCharsets.UTF_8));
    String id = "";
    String kind = "";
    StringBuilder data = new StringBuilder();
    for (String line; (line = lines.readLine()) != null; ) {
      if (line.isEmpty()) {
        if (!data.isEmpty()) {
          data.setLength(data.length() - 1);
          consumer.accept(new ApiEvent(id, kind, data.toString()));
        }
        id = "";
        kind = "";
        data.setLength(0);
        continue;
      }
      int colon = line.indexOf(':');
      String field = colon < 0 ? line : line.substring(0, colon);
      String value = colon < 0 ? "" : line.substring(colon + 1);
      value = value.startsWith(" ") ? value.substring(1) : value;
      switch (field) {
        case "id" -> id = value;
        case "event" -> kind = value;
        case "data" -> data.append(value).append('\n');
        default -> {} // comments, and fields that this client has no use for
      }
    }
  }

  private static ApiException problem(int status, byte[] body) {
    Map<String, String> texts = Problem.texts(new String(body, StandardCharsets.UTF_8));
    return new ApiException(
        status,
        texts.getOrDefault("type", "about:blank"),
        texts.getOrDefault("title", "HTTP " + status),
        texts.getOrDefault("detail", "the answer has the status " + status + " and no details"));
  }

  private static void closeAfter(Duration timeout, SocketChannel channel, AtomicBoolean late) {
    try {
      Thread.sleep(timeout);
      late.set(true);
      channel.close();
    } catch (InterruptedException _) {
      // answered in time
    } catch (IOException _) {
      // it is gone in any case
    }
  }

  private static void printable(String what, String text) {
    if (!text.chars().allMatch(c -> c > ' ' && c < 127)) {
      throw new IllegalArgumentException(
          what + " has characters that HTTP does not take; encode them");
    }
  }
}
