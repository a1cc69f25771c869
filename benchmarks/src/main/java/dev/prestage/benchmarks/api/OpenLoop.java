package dev.prestage.benchmarks.api;

import dev.prestage.benchmarks.api.KeptConnection.Answer;
import dev.prestage.benchmarks.api.RequestMix.Kind;
import dev.prestage.benchmarks.api.RequestMix.Request;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/// Requests that are due at fixed times, whether or not those before were answered: a request that
/// finds all connections waiting is late, and its latency counts from when it was due (Tene, "How
/// NOT to Measure Latency": coordinated omission).
final class OpenLoop {
  private static final int CONNECTIONS = 32;
  private static final double NANOS_PER_SECOND = 1e9;
  private static final Pattern ALLOCATION = Pattern.compile("\"allocation\":(\\d+)");

  private final Path socket;
  private final RequestMix mix;
  private final int perSecond;

  OpenLoop(Path socket, RequestMix mix, int perSecond) {
    this.socket = socket;
    this.mix = mix;
    this.perSecond = perSecond;
  }

  /// What became of a time under load.
  ///
  /// @param latencies from when each request was due
  /// @param byKind the same by kind
  /// @param failures answers that are neither success nor expected
  record Outcome(Latencies latencies, Map<Kind, Latencies> byKind, List<String> failures) {
    /// Lines with the median, p99 and the worst of each kind.
    String table() {
      StringBuilder table = new StringBuilder();
      byKind.forEach((kind, own) ->
          table.append(
              String.format(
                  Locale.ROOT,
                  "  %-10s %6d requests: p50 %7.2f ms, p99 %7.2f ms, worst %7.2f ms%n",
                  kind.name().toLowerCase(Locale.ROOT),
                  own.count(),
                  own.millis(.5),
                  own.millis(.99),
                  own.millis(1))));
      return table.toString();
    }
  }

  /// Sends the requests of so many seconds, and returns when all are answered.
  ///
  /// @param first the number of the first request
  Outcome run(int first, int seconds) throws IOException, InterruptedException {
    int count = seconds * perSecond;
    long[] latencies = new long[count];
    Kind[] kinds = new Kind[count];
    List<String> failures = new ArrayList<>();
    AtomicInteger next = new AtomicInteger();
    long began = System.nanoTime();
    try (ExecutorService threads = Executors.newFixedThreadPool(CONNECTIONS)) {
      List<Future<?>> workers = new ArrayList<>();
      for (int i = 0; i < CONNECTIONS; i++) {
        workers.add(
            threads.submit(() -> {
              try (KeptConnection connection = new KeptConnection(socket)) {
                for (int at; (at = next.getAndIncrement()) < count; ) {
                  long due = began + (long) (at * NANOS_PER_SECOND / perSecond);
                  awaitTime(due);
                  Request request = mix.request(first + at);
                  Answer answer = connection.ask(request.method(), request.path(), request.json());
                  latencies[at] = System.nanoTime() - due;
                  kinds[at] = request.kind();
                  judge(request, answer, failures);
                }
              }
              return null;
            }));
      }
      for (Future<?> worker : workers) {
        worker.get();
      }
    } catch (ExecutionException e) {
      throw new IOException("a connection of the load broke: " + e.getCause(), e);
    }
    return outcome(latencies, kinds, failures);
  }

  private void judge(Request request, Answer answer, List<String> failures) {
    // A newer allocation, or a stop, has replaced the one that is asked about.
    boolean gone = request.kind() == Kind.ALLOCATION && answer.status() == 404;
    if (!gone && (answer.status() < 200 || answer.status() > 299)) {
      synchronized (failures) {
        failures.add(request.method() + " " + request.path() + ": " + answer.text());
      }
    } else if (request.kind() == Kind.ALLOCATE) {
      Matcher id = ALLOCATION.matcher(answer.text());
      if (id.find()) {
        mix.allocated(Long.parseLong(id.group(1)));
      }
    }
  }

  private static Outcome outcome(long[] latencies, Kind[] kinds, List<String> failures) {
    Map<Kind, Latencies> byKind = new EnumMap<>(Kind.class);
    for (Kind kind : Kind.values()) {
      byKind.put(
          kind,
          new Latencies(
              IntStream.range(0, latencies.length)
                  .filter(at -> kinds[at] == kind)
                  .mapToLong(at -> latencies[at])
                  .toArray()));
    }
    return new Outcome(new Latencies(latencies), byKind, failures);
  }

  static void awaitTime(long nanos) {
    for (long left = nanos - System.nanoTime(); left > 0; left = nanos - System.nanoTime()) {
      LockSupport.parkNanos(left);
    }
  }
}
