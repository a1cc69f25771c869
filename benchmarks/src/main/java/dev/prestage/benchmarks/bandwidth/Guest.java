package dev.prestage.benchmarks.bandwidth;

import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/// A guest that reads parts of its disk, each once, in an order that nobody can foresee.
final class Guest implements AutoCloseable {
  /// Four extents.
  static final int READ_BYTES = 256 << 10;

  /// Guests' block layers have some requests of a greedy reader under way.
  private static final int GREEDY_DEPTH = 4;

  private static final double NANOS_PER_SECOND = 1e9;

  private final NbdClient disk;
  private final AtomicLong asked = new AtomicLong();
  private final AtomicLong bytes = new AtomicLong();
  private final AtomicLong errors = new AtomicLong();
  private final long[] order;
  private int next;
  private volatile boolean closed;

  /// @param first the first read of its part of the disk, counted in reads
  /// @param count how many reads that part has
  Guest(Path socket, String vm, int first, int count, long seed) throws IOException {
    this.disk = NbdClient.connect(UnixDomainSocketAddress.of(socket), vm);
    this.order = new long[count];
    SplittableRandom random = new SplittableRandom(seed);
    for (int i = 0; i < count; i++) {
      int at = random.nextInt(i + 1);
      order[i] = order[at];
      order[at] = (long) first + i;
    }
  }

  /// How many bytes it has got.
  long bytes() {
    return bytes.get();
  }

  /// How many it has asked for.
  long askedBytes() {
    return asked.get();
  }

  private void read(Runnable then) throws IOException {
    if (next == order.length) {
      throw new IOException("the guest has read all of its disk");
    }
    asked.addAndGet(READ_BYTES);
    disk.read(
        order[next++] * READ_BYTES,
        READ_BYTES,
        (error, data) -> {
          if (error == 0) {
            bytes.addAndGet(data.remaining());
          } else {
            errors.incrementAndGet();
          }
          then.run();
        });
  }

  /// Reads as fast as it is answered, in a thread of its own, until it is closed.
  void readAll() {
    Thread.ofPlatform()
        .daemon()
        .name("greedy")
        .start(() -> {
          Semaphore places = new Semaphore(GREEDY_DEPTH);
          try {
            while (!closed) {
              places.acquireUninterruptibly();
              read(places::release);
            }
          } catch (IOException e) {
            if (!closed) {
              errors.incrementAndGet();
            }
          }
        });
  }

  /// Asks for so much in each second, whether or not it is answered, for a time.
  void burst(long bytesPerSecond, double seconds) throws IOException {
    long began = System.nanoTime();
    long reads = Math.round(bytesPerSecond * seconds / READ_BYTES);
    for (long read = 0; read < reads; read++) {
      long at = began + (long) (read * (double) READ_BYTES / bytesPerSecond * NANOS_PER_SECOND);
      sleepUntil(at);
      read(() -> {});
    }
  }

  static void sleepUntil(long nanos) {
    for (long left = nanos - System.nanoTime(); left > 0; left = nanos - System.nanoTime()) {
      LockSupport.parkNanos(left);
    }
  }

  /// Ends it.
  ///
  /// @throws IOException if any of its reads failed
  @Override
  public void close() throws IOException {
    closed = true;
    if (errors.get() > 0) {
      throw new IOException(errors.get() + " reads of a guest failed");
    }
    disk.close();
  }
}
