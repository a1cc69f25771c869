package dev.prestage.benchmarks.bandwidth;

import dev.prestage.benchmarks.demo.Folders;
import dev.prestage.benchmarks.demo.Host;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/// Records what two guests ask of their disks in each half second: a job that reads in turns of
/// twelve seconds, and one whose bursts come when they like and last as long as they like.
public final class MeterRecorder {
  static final double WINDOW_SECONDS = 0.5;

  private static final int READS = 65_536;
  private static final double NANOS_PER_SECOND = 1e9;

  private MeterRecorder() {}

  /// A way to read.
  private interface Habit {
    void read(Guest guest, SplittableRandom random, double untilSeconds) throws IOException;
  }

  /// Records `periodic.csv` and `bursty.csv`.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  public static void run(List<String> prestage, Path into, int seconds)
      throws IOException, InterruptedException {
    Files.createDirectories(into);
    Runtime.getRuntime().addShutdownHook(new Thread(Host::endAll, "clean"));
    Path folder = Files.createTempDirectory("prestage-meters");
    try {
      Path images = Files.createDirectories(folder.resolve("origin"));
      for (String name : List.of("periodic", "bursty")) {
        try (FileChannel image =
            FileChannel.open(
                images.resolve(name + ".raw"),
                StandardOpenOption.CREATE_NEW,
                StandardOpenOption.WRITE)) {
          int _ = image.write(ByteBuffer.allocate(1), (long) READS * Guest.READ_BYTES - 1);
        }
      }
      try (Host host =
          Host.start(
              prestage,
              folder.resolve("host"),
              String.format(
                  Locale.ROOT,
                  "origins: [{name: nas, directory: %s, faults: {latency: 2ms, bandwidth: 200MB/s}}]%n"
                      + "tier: {capacity: 256MiB}%npredict: {enabled: false}%nhistory: {enabled: false}%n",
                  images))) {
        Path socket = host.nbdSocket(folder.resolve("host"));
        host.registerReader("periodic", "periodic", "periodic.raw", "");
        host.registerReader("bursty", "bursty", "bursty.raw", "");
        try (ExecutorService both = Executors.newFixedThreadPool(2)) {
          Future<?> periodic =
              both.submit(() -> record(socket, "periodic", MeterRecorder::periodic, into, seconds));
          Future<?> bursty =
              both.submit(() -> record(socket, "bursty", MeterRecorder::bursty, into, seconds));
          periodic.get();
          bursty.get();
        } catch (ExecutionException e) {
          throw new IOException("recording failed: " + e.getCause(), e);
        }
      }
    } finally {
      Folders.delete(folder);
    }
  }

  private static @Nullable Void record(Path socket, String vm, Habit habit, Path into, int seconds)
      throws IOException, InterruptedException {
    AtomicReference<@Nullable IOException> failure = new AtomicReference<>();
    List<String> lines = new ArrayList<>(List.of("seconds,bytes"));
    try (Guest guest = new Guest(socket, vm, 0, READS, 7)) {
      Thread reader =
          Thread.ofPlatform()
              .daemon()
              .start(() -> {
                try {
                  habit.read(guest, new SplittableRandom(11), seconds);
                } catch (IOException e) {
                  failure.set(e);
                }
              });
      long began = System.nanoTime();
      long before = 0;
      for (int window = 1; window <= seconds / WINDOW_SECONDS; window++) {
        Guest.sleepUntil(began + (long) (window * WINDOW_SECONDS * NANOS_PER_SECOND));
        long asked = guest.askedBytes();
        lines.add(
            String.format(Locale.ROOT, "%.1f,%d", (window - 1) * WINDOW_SECONDS, asked - before));
        before = asked;
      }
      reader.join();
      IOException failed = failure.get();
      if (failed != null) {
        throw failed;
      }
      Files.write(into.resolve(vm + ".csv"), lines);
      return null;
    }
  }

  private static void periodic(Guest guest, SplittableRandom random, double seconds)
      throws IOException {
    long began = System.nanoTime();
    for (int turn = 0; 12.0 * turn + 6 < seconds; turn++) {
      Guest.sleepUntil(began + nanos(12.0 * turn + 0.5 * random.nextDouble()));
      guest.burst((long) (8e6 + 4e6 * random.nextDouble()), 2.5 + random.nextDouble());
      guest.burst(600_000, 2);
    }
  }

  private static void bursty(Guest guest, SplittableRandom random, double seconds)
      throws IOException {
    long end = System.nanoTime() + nanos(seconds);
    while (true) {
      double pause = Math.min(40, -6 * Math.log(1 - random.nextDouble()));
      double burst = Math.min(12, 0.5 * Math.pow(1 - random.nextDouble(), -1 / 1.5));
      if (System.nanoTime() + nanos(pause + burst) > end) {
        return;
      }
      Guest.sleepUntil(System.nanoTime() + nanos(pause));
      guest.burst((long) (6e6 * Math.exp(0.5 * random.nextGaussian())), burst);
    }
  }

  private static long nanos(double seconds) {
    return (long) (seconds * TimeUnit.SECONDS.toNanos(1));
  }
}
