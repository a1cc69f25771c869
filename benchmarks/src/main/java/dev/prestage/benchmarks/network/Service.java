package dev.prestage.benchmarks.network;

import dev.prestage.benchmarks.network.Requests.Arrival;
import dev.prestage.benchmarks.network.Requests.Upstream;
import dev.prestage.benchmarks.network.Requests.Use;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;

/// The web application, replayed: serves the requests of a recorded run, each when it came, with
/// the connections, the questions and the pauses that it had.
final class Service {
  private Service() {}

  /// Serves all.
  ///
  /// @return for each connection that a request needed, the nanoseconds from asking for it to the
  ///   first answer on it
  static List<Long> serve(Requests requests, Connections connections)
      throws IOException, InterruptedException {
    List<Future<List<Long>>> served = new ArrayList<>();
    try (ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor()) {
      long began = System.nanoTime();
      for (Arrival arrival : requests.arrivals()) {
        waitUntil(began + arrival.atMicros() * 1_000);
        Callable<List<Long>> request = () -> serve(arrival, connections);
        served.add(workers.submit(request));
      }
    }
    List<Long> nanos = new ArrayList<>();
    for (Future<List<Long>> request : served) {
      try {
        nanos.addAll(request.get());
      } catch (ExecutionException e) {
        throw new IOException("a request failed: " + e.getCause(), e);
      }
    }
    return nanos;
  }

  static void waitUntil(long nanoTime) {
    for (long left = nanoTime - System.nanoTime(); left > 0; left = nanoTime - System.nanoTime()) {
      LockSupport.parkNanos(left);
    }
  }

  private record Taken(Upstream upstream, Line line) {}

  private static List<Long> serve(Arrival arrival, Connections connections)
      throws IOException, InterruptedException {
    List<Long> nanos = new ArrayList<>();
    List<Taken> open = new ArrayList<>();
    try {
      for (Use use : arrival.uses()) {
        waitUntil(System.nanoTime() + use.afterMicros() * 1_000);
        long began = System.nanoTime();
        Line line = connections.take(use.upstream());
        var taken = new Taken(use.upstream(), line);
        open.add(taken);
        line.ask();
        nanos.add(System.nanoTime() - began);
        for (int more = use.questions(connections.areLoggedIn()); more > 1; more--) {
          line.ask();
        }
        if (use.closesEarly()) {
          open.remove(taken);
          connections.giveBack(use.upstream(), line);
        }
      }
    } finally {
      for (Taken each : open.reversed()) {
        connections.giveBack(each.upstream(), each.line());
      }
    }
    return nanos;
  }
}
