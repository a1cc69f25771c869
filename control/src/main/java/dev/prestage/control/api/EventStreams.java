package dev.prestage.control.api;

import dev.prestage.control.notice.NoticeHub;
import dev.prestage.control.notice.NoticeJson;
import io.helidon.common.socket.SocketWriterException;
import io.helidon.http.HeaderNames;
import io.helidon.http.sse.SseEvent;
import io.helidon.webserver.ServerConnectionException;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import io.helidon.webserver.sse.SseSink;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/// Notices as server-sent events: `id`, `event` (the kind) and `data` (JSON).
///
/// A client that reconnects with `Last-Event-ID` gets what it missed. When some of that is no
/// longer kept, the first event has the name `missed` and says so. A silent stream carries a
/// comment now and then, which keeps proxies patient and finds clients that are gone. A client that
/// does not read is cut off: its thread hangs in a write, so it is interrupted, which closes the
/// channel.
final class EventStreams implements AutoCloseable {
  private final NoticeHub hub;
  private final Duration keepAlive;
  private final Set<NoticeHub.Listener> open = ConcurrentHashMap.newKeySet();

  EventStreams(NoticeHub hub, Duration keepAlive) {
    this.hub = hub;
    this.keepAlive = keepAlive;
  }

  /// Serves one client until it goes, is cut off, or the server stops.
  void serve(ServerRequest request, ServerResponse response) throws Problem.Thrown {
    String lastId = request.headers().first(HeaderNames.create("Last-Event-ID")).orElse("");
    Thread thread = Thread.currentThread();
    try (NoticeHub.Listener listener =
        lastId.isBlank()
            ? hub.listen(thread::interrupt)
            : hub.listenAfter(id(lastId), thread::interrupt)) {
      open.add(listener);
      try (SseSink sink = response.sink(SseSink.TYPE)) {
        sink.emit(SseEvent.builder().comment("prestage").build());
        if (listener.missed() > 0) {
          sink.emit(
              SseEvent.builder()
                  .name("missed")
                  .data((Object) Json.write(Map.of("after", lastId.strip())))
                  .build());
        }
        write(listener, sink);
      } catch (InterruptedException _) {
        thread.interrupt(); // the server stops
      } catch (UncheckedIOException
          | IllegalStateException
          | SocketWriterException
          | ServerConnectionException _) {
        // the client is gone, or was cut off in a write: there is nobody to tell
      } finally {
        open.remove(listener);
      }
    }
  }

  private void write(NoticeHub.Listener listener, SseSink sink) throws InterruptedException {
    while (true) {
      NoticeHub.Entry entry = listener.next(keepAlive);
      if (entry != null) {
        sink.emit(
            SseEvent.builder()
                .id(Long.toString(entry.id()))
                .name(NoticeJson.kind(entry.notice()))
                .data((Object) NoticeJson.of(entry.notice()))
                .build());
      } else if (listener.state() == NoticeHub.State.LISTENING) {
        sink.emit(SseEvent.builder().comment("").build());
      } else {
        return;
      }
    }
  }

  private static long id(String text) throws Problem.Thrown {
    try {
      return Long.parseLong(text.strip());
    } catch (NumberFormatException _) {
      throw new Problem.Thrown(
          Problem.invalid(
              "Last-Event-ID '" + text + "' is not a number; send the id of an event or leave it"));
    }
  }

  /// Ends all streams.
  @Override
  public void close() {
    open.forEach(NoticeHub.Listener::close);
  }
}
