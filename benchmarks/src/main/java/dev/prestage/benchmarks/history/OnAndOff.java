package dev.prestage.benchmarks.history;

import dev.prestage.benchmarks.demo.Host;
import dev.prestage.dataplane.nbd.NbdClient;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/// Two hosts that differ in one thing, history, serve the same reads in turns; processor time of
/// all of a host's processes is counted.
final class OnAndOff {
  private static final int PAIRS = 15;
  private static final int READS = 30_000;
  private static final int DEPTH = 16;
  private static final int READ_BYTES = 4096;
  private static final long IMAGE_BYTES = 64L << 20;

  /// After the reads: history commits once a second.
  private static final long SETTLE_NANOS = 1_200_000_000L;

  private OnAndOff() {}

  /// The median of the pairs' ratios.
  static double ratio(List<String> prestage, Path folder) throws IOException, InterruptedException {
    try (Reader on = Reader.open(prestage, folder.resolve("on"), true);
        Reader off = Reader.open(prestage, folder.resolve("off"), false)) {
      for (int i = 0; i < 3; i++) {
        on.cpuNanos();
        off.cpuNanos();
      }
      double[] ratios = new double[PAIRS];
      for (int pair = 0; pair < PAIRS; pair++) {
        boolean first = pair % 2 == 0;
        long one = first ? on.cpuNanos() : off.cpuNanos();
        long other = first ? off.cpuNanos() : on.cpuNanos();
        ratios[pair] = first ? (double) one / other : (double) other / one;
      }
      Arrays.sort(ratios);
      return ratios[PAIRS / 2];
    }
  }

  private record Reader(Host host, NbdClient disk, SplittableRandom random)
      implements AutoCloseable {
    static Reader open(List<String> prestage, Path folder, boolean history)
        throws IOException, InterruptedException {
      Path images = folder.resolve("images");
      Files.createDirectories(images);
      try (RandomAccessFile image =
          new RandomAccessFile(images.resolve("image.raw").toFile(), "rw")) {
        image.setLength(IMAGE_BYTES);
      }
      Host host =
          Host.start(
              prestage,
              folder.resolve("state"),
              """
              origins: [{name: files, directory: %s}]
              tier: {capacity: 1GiB}
              history: {enabled: %s}
              """
                  .formatted(images, history));
      host.registerReader("vm", "program", "image.raw", "");
      NbdClient disk =
          NbdClient.connect(
              UnixDomainSocketAddress.of(host.nbdSocket(folder.resolve("state"))), "vm");
      return new Reader(host, disk, new SplittableRandom(1));
    }

    /// What one slice of reads costs the host's processes.
    long cpuNanos() throws IOException {
      long before = host.cpuNanos();
      Semaphore places = new Semaphore(DEPTH);
      AtomicLong errors = new AtomicLong();
      for (int i = 0; i < READS; i++) {
        places.acquireUninterruptibly();
        disk.read(
            random.nextLong(IMAGE_BYTES / READ_BYTES) * READ_BYTES,
            READ_BYTES,
            (error, _) -> {
              if (error != 0) {
                errors.incrementAndGet();
              }
              places.release();
            });
      }
      places.acquireUninterruptibly(DEPTH);
      if (errors.get() > 0) {
        throw new IOException(errors.get() + " reads failed");
      }
      LockSupport.parkNanos(SETTLE_NANOS);
      return host.cpuNanos() - before;
    }

    @Override
    public void close() throws IOException {
      disk.close();
      host.close();
    }
  }
}
