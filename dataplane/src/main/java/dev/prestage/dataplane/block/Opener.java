package dev.prestage.dataplane.block;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/// Opens the images of one origin on threads of its own, so that an origin that hangs in `open`
/// holds these and nobody else.
final class Opener implements AutoCloseable {
  private static final Logger LOG = System.getLogger(Opener.class.getName());

  // An open is one or two round trips; four at a time open the 200 images of a host within seconds.
  private static final int THREADS = 4;
  private static final int MOST_WAITING = 1024;

  private final Origin origin;
  private final ThreadPoolExecutor threads;

  Opener(Origin origin) {
    this.origin = origin;
    this.threads =
        new ThreadPoolExecutor(
            THREADS,
            THREADS,
            10,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(MOST_WAITING),
            Thread.ofPlatform().daemon().name("open-" + origin.name() + "-", 0).factory());
    threads.allowCoreThreadTimeOut(true);
  }

  /// An image that is being opened.
  final class Opening {
    private final String image;
    private final CompletableFuture<Image> future = new CompletableFuture<>();

    private Opening(String image) {
      this.image = image;
    }

    private void run() {
      try {
        Image opened = origin.open(image);
        if (!future.complete(opened)) {
          opened.close();
        }
      } catch (IOException | RuntimeException e) {
        future.completeExceptionally(e);
      }
    }

    /// The image.
    ///
    /// @param deadlineNanos on the system's clock; whoever comes later finds nobody waiting
    /// @return null if the origin did not answer in time
    /// @throws IOException as [Origin#open] does
    @Nullable Image await(long deadlineNanos) throws IOException {
      try {
        return future.get(Math.max(0, deadlineNanos - System.nanoTime()), TimeUnit.NANOSECONDS);
      } catch (TimeoutException _) {
        giveUp();
        return null;
      } catch (ExecutionException e) {
        if (e.getCause() instanceof IOException failure) {
          throw failure;
        }
        throw new IllegalStateException("opening " + image + " failed", e.getCause());
      } catch (InterruptedException e) {
        giveUp();
        Thread.currentThread().interrupt();
        throw new IOException("interrupted", e);
      }
    }

    /// Nobody needs it any more.
    void giveUp() {
      if (!future.cancel(false) && future.state() == Future.State.SUCCESS) {
        try {
          future.resultNow().close();
        } catch (IOException e) {
          LOG.log(Level.DEBUG, "closing an image that nobody waited for", e);
        }
      }
    }
  }

  /// Begins to open an image.
  Opening open(String image) {
    var opening = new Opening(image);
    try {
      threads.execute(opening::run);
    } catch (RejectedExecutionException _) {
      // So many wait already that this one would not be reached in time either.
      LOG.log(Level.DEBUG, "{0} has too many opens waiting", origin.name());
    }
    return opening;
  }

  /// What to say of an origin that did not answer in time.
  String silence(String image, Duration after) {
    return "origin '"
        + origin.name()
        + "' has not answered the opening of image '"
        + image
        + "' for "
        + after.toMillis()
        + " ms: is its server or the network down?";
  }

  @Override
  public void close() {
    threads.shutdownNow();
  }
}
