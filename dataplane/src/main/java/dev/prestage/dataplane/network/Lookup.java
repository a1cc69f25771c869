package dev.prestage.dataplane.network;

import java.io.IOException;
import java.net.InetAddress;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/// Resolves one name, on one thread at a time whoever asks: while a resolver does not answer, each
/// question to it holds a thread of the platform.
final class Lookup {
  private final Callable<List<InetAddress>> resolver;
  private final Executor threads;
  private @Nullable FutureTask<List<InetAddress>> running;

  /// Of a name, at this system's resolver.
  Lookup(String host) {
    this(host, () -> List.of(InetAddress.getAllByName(host)));
  }

  /// @param resolver what finds the addresses; may take long
  Lookup(String host, Callable<List<InetAddress>> resolver) {
    this(resolver, task -> Thread.ofPlatform().daemon().name("resolve-" + host).start(task));
  }

  /// @param threads runs each question on a thread of its own, or throws
  Lookup(Callable<List<InetAddress>> resolver, Executor threads) {
    this.resolver = resolver;
    this.threads = threads;
  }

  /// The addresses of the name, which may take the resolver a while.
  ///
  /// @param patience how long to wait; the resolver may take longer, and is not asked twice
  /// @throws IOException with one line
  List<InetAddress> addresses(Duration patience) throws IOException {
    try {
      return running().get(patience.toNanos(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      throw new IOException("its name cannot be resolved", e.getCause());
    } catch (TimeoutException e) {
      throw new IOException(
          "its name cannot be resolved: no answer of the resolver for "
              + patience.toMillis()
              + " ms",
          e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while its name was resolved", e);
    }
  }

  private synchronized FutureTask<List<InetAddress>> running() {
    FutureTask<List<InetAddress>> task = running;
    if (task == null || task.isDone()) {
      task = new FutureTask<>(resolver);
      // A question that no thread could be had for is not the one that others wait for.
      threads.execute(task);
      running = task;
    }
    return task;
  }
}
