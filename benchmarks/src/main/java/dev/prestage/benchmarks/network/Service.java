package dev.prestage.benchmarks.network;

import dev.prestage.benchmarks.network.Requests.Arrival;
import dev.prestage.benchmarks.network.Requests.Upstream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;

/// The web application: serves the requests of a run, each when it comes.
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
        long due = began + arrival.atMillis() * 1_000_000;
        for (long left = due - System.nanoTime(); left > 0; left = due - System.nanoTime()) {
          LockSupport.parkNanos(left);
        }
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

  private static List<Long> serve(Arrival arrival, Connections connections)
      throws IOException, InterruptedException {
    List<Long> nanos = new ArrayList<>();
    List<Line> taken = new ArrayList<>();
    List<Upstream> needs = arrival.route().needs();
    try {
      for (Upstream upstream : needs) {
        long began = System.nanoTime();
        Line line = connections.take(upstream);
        taken.add(line);
        line.ask();
        nanos.add(System.nanoTime() - began);
      }
    } finally {
      for (int i = 0; i < taken.size(); i++) {
        connections.giveBack(needs.get(i), taken.get(i));
      }
    }
    return nanos;
  }
}
