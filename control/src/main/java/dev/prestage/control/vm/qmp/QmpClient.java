package dev.prestage.control.vm.qmp;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/// One connection to a QMP socket. The protocol is lines of JSON: a greeting, answers that carry
/// the id of their command, and events.
///
/// Events and answers are handed out on the reading thread, in the order in which QEMU sent them.
/// After a command that was not answered in time no other is sent until that answer comes, so what
/// waits in the socket is bounded.
final class QmpClient implements AutoCloseable {
  /// An answer about a hundred disks with their backing files takes a tenth of that.
  static final int LONGEST_MESSAGE = 4 << 20;

  private static final JsonMapper MAPPER = new JsonMapper();
  private static final int BUFFER = 16 * 1024;

  private final SocketChannel channel;
  private final Consumer<JsonNode> events;
  private final Duration deadline;
  private final Map<Long, CompletableFuture<JsonNode>> pending = new ConcurrentHashMap<>();
  private final AtomicLong lastId = new AtomicLong();
  private final CompletableFuture<JsonNode> greeting = new CompletableFuture<>();
  private final CompletableFuture<IOException> ended = new CompletableFuture<>();
  private volatile boolean silent;

  /// What came is no QMP; it says nothing about whether QEMU runs.
  static final class Garbage extends IOException {
    private static final long serialVersionUID = 1;

    Garbage(String message) {
      super(message);
    }
  }

  private QmpClient(SocketChannel channel, Consumer<JsonNode> events, Duration deadline) {
    this.channel = channel;
    this.events = events;
    this.deadline = deadline;
  }

  /// Connects, and reads from now on.
  ///
  /// @param events gets each event, on the reading thread; must not block
  /// @param deadline for each answer
  static QmpClient connect(Path socket, Consumer<JsonNode> events, Duration deadline)
      throws IOException {
    SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      channel.connect(UnixDomainSocketAddress.of(socket));
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
    QmpClient client = new QmpClient(channel, events, deadline);
    Thread.ofVirtual().name("qmp-" + socket.getFileName()).start(client::read);
    return client;
  }

  /// Completes with QEMU's greeting, which comes once no other client has the socket.
  CompletableFuture<JsonNode> greeting() {
    return greeting;
  }

  /// Completes with the reason when the connection is over: an [EOFException] where QEMU ended it.
  CompletableFuture<IOException> ended() {
    return ended;
  }

  /// Whether an answer is overdue.
  boolean isSilent() {
    return silent;
  }

  /// What a command returns.
  ///
  /// @throws QmpRefusal if QEMU refuses it
  /// @throws IOException if there is no answer in time, or the connection is over; the command may
  ///   have been carried out
  JsonNode execute(String command, JsonNode arguments) throws IOException {
    if (silent) {
      throw unanswered();
    }
    CompletableFuture<JsonNode> answer = new CompletableFuture<>();
    submit(command, arguments, answer);
    try {
      return answer.get(deadline.toNanos(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      throw e.getCause() instanceof QmpRefusal refusal
          ? refusal
          : new IOException("QMP ended before it answered " + command, e.getCause());
    } catch (TimeoutException _) {
      silent = true;
      if (answer.isDone()) {
        // It came in this moment, and was heard before this was said.
        silent = false;
      }
      throw unanswered();
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while QMP was asked");
    }
  }

  private IOException unanswered() {
    return new IOException("QMP has not answered for %d ms".formatted(deadline.toMillis()));
  }

  /// Sends a command; the answer completes on the reading thread, before any later event is told.
  void submit(String command, JsonNode arguments, CompletableFuture<JsonNode> answer)
      throws IOException {
    long id = lastId.incrementAndGet();
    ObjectNode message = object().put("execute", command).put("id", id);
    if (!arguments.isEmpty()) {
      message.set("arguments", arguments);
    }
    pending.put(id, answer);
    if (ended.isDone()) {
      fail(new EOFException("QMP ended"));
    }
    byte[] line = MAPPER.writeValueAsBytes(message);
    ByteBuffer bytes = ByteBuffer.allocate(line.length + 1).put(line).put((byte) '\n').flip();
    synchronized (this) {
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
    }
  }

  static ObjectNode object() {
    return MAPPER.createObjectNode();
  }

  private void read() {
    IOException reason;
    try {
      readLines();
      reason = new EOFException("QMP ended");
    } catch (IOException e) {
      reason = e;
    } catch (RuntimeException e) {
      reason = new Garbage("an event could not be handled: " + e);
    }
    close();
    greeting.completeExceptionally(reason);
    ended.complete(reason);
    fail(reason);
  }

  private void fail(IOException reason) {
    for (Long id : List.copyOf(pending.keySet())) {
      CompletableFuture<JsonNode> answer = pending.remove(id);
      if (answer != null) {
        answer.completeExceptionally(reason);
      }
    }
  }

  private void readLines() throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(BUFFER);
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    while (channel.read(buffer.clear()) >= 0) {
      int from = 0;
      for (int at = 0; at < buffer.position(); at++) {
        if (buffer.get(at) == '\n') {
          line.write(buffer.array(), from, at - from);
          from = at + 1;
          take(line.toByteArray());
          line.reset();
        }
      }
      line.write(buffer.array(), from, buffer.position() - from);
      if (line.size() > LONGEST_MESSAGE) {
        throw new Garbage("a message is longer than " + (LONGEST_MESSAGE >> 20) + " MiB");
      }
    }
  }

  private void take(byte[] line) throws IOException {
    JsonNode message;
    try {
      message = MAPPER.readTree(line);
    } catch (JsonProcessingException _) {
      throw new Garbage("what came is no JSON");
    }
    if (message.isMissingNode()) {
      return;
    }
    if (message.has("event")) {
      events.accept(message);
    } else if (message.has("QMP")) {
      greeting.complete(message.path("QMP"));
    } else if (message.has("return") || message.has("error")) {
      answer(message);
    } else {
      throw new Garbage("what came is neither a greeting nor an answer nor an event");
    }
  }

  private void answer(JsonNode message) {
    CompletableFuture<JsonNode> answer = pending.remove(message.path("id").asLong(-1));
    if (answer == null) {
      silent = false;
      return;
    }
    JsonNode error = message.path("error");
    if (error.isMissingNode()) {
      answer.complete(message.path("return"));
    } else {
      answer.completeExceptionally(
          new QmpRefusal(error.path("class").asText(), oneLine(error.path("desc").asText())));
    }
    silent = false;
  }

  private static String oneLine(String text) {
    return text.replaceAll("\\s+", " ").strip();
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException _) {
      // It is closed all the same.
    }
  }
}
