package dev.prestage.benchmarks.demo;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/// Hosts that start one after the other in the background, in the order in which they are asked
/// for, and end together.
final class HostPark implements AutoCloseable {
  private final ExecutorService starter =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("hosts").factory());
  private final List<Future<Host>> hosts = new ArrayList<>();

  Future<Host> start(Callable<Host> host) {
    Future<Host> future = starter.submit(host);
    hosts.add(future);
    return future;
  }

  /// Waits until all have started.
  void awaitAll() throws IOException, InterruptedException {
    for (Future<Host> host : hosts) {
      get(host);
    }
  }

  /// The host, once it has started.
  static Host get(Future<Host> host) throws IOException, InterruptedException {
    try {
      return host.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException cause) {
        throw cause;
      }
      throw new IllegalStateException("a host could not be started", e);
    }
  }

  /// Stops all that have started; one that is starting is waited for first, so that none is left
  /// behind.
  @Override
  public void close() {
    starter.shutdownNow();
    starter.close();
    List<Host> started =
        hosts.stream()
            .filter(host -> host.state() == Future.State.SUCCESS)
            .map(Future::resultNow)
            .toList();
    started.forEach(Host::askToStop);
    started.forEach(Host::close);
  }
}
