package dev.prestage.benchmarks.api;

import dev.prestage.client.ApiEvent;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;

/// Clients that follow the events, each on a connection and a thread of its own, and that check
/// that none is missing.
final class EventListeners implements AutoCloseable {
  /// More delays than this are not kept.
  private static final int MOST_DELAYS = 1 << 20;

  private final List<PrestageClient> clients = new ArrayList<>();
  private final AtomicLong received = new AtomicLong();
  private final AtomicLong gaps = new AtomicLong();
  private final AtomicLong ended = new AtomicLong();
  private final AtomicLongArray lastIds;
  private final AtomicLongArray delayMicros = new AtomicLongArray(MOST_DELAYS);
  private final AtomicLong delays = new AtomicLong();
  private volatile boolean closing;

  EventListeners(Path socket, int count) {
    this.lastIds = new AtomicLongArray(count);
    for (int i = 0; i < count; i++) {
      PrestageClient client = PrestageClient.onSocket(socket);
      clients.add(client);
      int listener = i;
      Thread.ofVirtual().start(() -> follow(client, listener));
    }
  }

  private void follow(PrestageClient client, int listener) {
    try {
      client.events(null, event -> take(event, listener));
    } catch (IOException | RuntimeException _) {
      // counted below
    }
    if (!closing) {
      ended.incrementAndGet();
    }
  }

  private void take(ApiEvent event, int listener) {
    long id = Long.parseLong(event.id());
    long before = lastIds.getAndSet(listener, id);
    if (before != 0 && id != before + 1) {
      gaps.incrementAndGet();
    }
    received.incrementAndGet();
    long place = delays.getAndIncrement();
    if (place < MOST_DELAYS) {
      delayMicros.set((int) place, Math.max(0, delayMicros(event.data())));
    }
  }

  private static long delayMicros(String data) {
    String field = "\"time\":\"";
    int from = data.indexOf(field) + field.length();
    Instant time = Instant.parse(data.substring(from, data.indexOf('"', from)));
    return ChronoUnit.MICROS.between(time, Instant.now());
  }

  /// Events that all listeners have got so far.
  long received() {
    return received.get();
  }

  /// How often an event did not follow the one before.
  long gaps() {
    return gaps.get();
  }

  /// Streams that the API ended.
  long ended() {
    return ended.get();
  }

  /// How many different ids are the last of a stream: one when all have got the same.
  long differentLastIds() {
    long[] ids = new long[lastIds.length()];
    Arrays.setAll(ids, lastIds::get);
    return Arrays.stream(ids).distinct().count();
  }

  /// Forgets the delays so far.
  void forgetDelays() {
    delays.set(0);
  }

  /// Milliseconds from when it happened until a listener had it.
  double delayMillis(double share) {
    long[] sorted = new long[(int) Math.min(MOST_DELAYS, delays.get())];
    Arrays.setAll(sorted, delayMicros::get);
    Arrays.sort(sorted);
    return sorted.length == 0
        ? Double.NaN
        : sorted[Math.max(0, (int) Math.ceil(share * sorted.length) - 1)] / 1e3;
  }

  /// Follows the events and never reads one.
  static SocketChannel stalled(Path socket) throws IOException {
    SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
    String request = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    ByteBuffer bytes = ByteBuffer.wrap(request.getBytes(StandardCharsets.ISO_8859_1));
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
    return channel;
  }

  @Override
  public void close() {
    closing = true;
    clients.forEach(PrestageClient::close);
  }
}
