package dev.prestage.control.webhook;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/// A real HTTP server that takes webhooks, or does not, as it is told.
final class Receiver implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  /// A request as it came.
  record Request(String method, Headers headers, String body) {
    JsonNode json() throws IOException {
      return JSON.readTree(body);
    }
  }

  private final HttpServer server;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final BlockingQueue<Request> requests = new LinkedBlockingQueue<>();
  private final CountDownLatch released = new CountDownLatch(1);
  private final AtomicInteger otherCalls = new AtomicInteger();

  /// The status of the next answers.
  volatile int status = 204;

  /// Whether it takes requests and does not answer.
  volatile boolean hanging;

  /// @param port 0 for a free one
  Receiver(int port) throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
    server.setExecutor(threads);
    server.createContext("/hook", this::take);
    server.createContext(
        "/",
        exchange -> {
          otherCalls.incrementAndGet();
          answer(exchange, 204);
        });
    server.start();
  }

  private void take(HttpExchange exchange) throws IOException {
    String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    // Before anybody knows of the request, and so may change it for the next.
    int answer = status;
    requests.add(new Request(exchange.getRequestMethod(), exchange.getRequestHeaders(), body));
    if (hanging) {
      try {
        released.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    if (answer == 302) {
      exchange.getResponseHeaders().set("Location", "/elsewhere");
    }
    answer(exchange, answer);
  }

  private static void answer(HttpExchange exchange, int status) throws IOException {
    exchange.sendResponseHeaders(status, -1);
    exchange.close();
  }

  int port() {
    return server.getAddress().getPort();
  }

  URI url() {
    return URI.create("http://127.0.0.1:" + port() + "/hook?token=topsecret");
  }

  /// How often anything but the hook was called.
  int otherCalls() {
    return otherCalls.get();
  }

  /// The next request, or null when none comes for ten seconds.
  @Nullable Request next() throws InterruptedException {
    return requests.poll(10, TimeUnit.SECONDS);
  }

  @Override
  public void close() {
    released.countDown();
    server.stop(0);
    threads.shutdownNow();
  }
}
