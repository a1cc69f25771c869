package dev.prestage.benchmarks.simulator;

import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.demo.Folders;
import dev.prestage.benchmarks.demo.Host;
import dev.prestage.control.train.TrainerProcess;
import dev.prestage.dataplane.nbd.NbdClient;
import dev.prestage.engine.predict.neural.Corpus;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/// How long a guest's reads take while a network is trained on the same processors, and while the
/// trainer is stopped, in turns: once with a trainer that is told of the reads, as a host tells it,
/// and once with one that works on, as it does after an hour of rest.
final class BesideTraining {
  private static final int PAIRS = 15;
  private static final int READS = 2000;
  private static final int READS_A_SECOND = 1000;
  private static final int READ_BYTES = 4096;
  private static final long IMAGE_BYTES = 64L << 20;
  private static final double MOST_SLOWED = 1.25;
  private static final int WORDS = 100_000;
  private static final int VOCABULARY = 512;
  private static final int MANY_EPOCHS = 10_000;
  private static final long STARTS_WITHIN_SECONDS = 120;
  private static final long SETTLE_NANOS = 100_000_000L;

  private final TrainerProcess trainer;
  private final boolean yields;
  private final CountDownLatch learns = new CountDownLatch(1);
  private final AtomicLong reads = new AtomicLong();
  private final AtomicReference<String> failure = new AtomicReference<>("");

  private BesideTraining(TrainerProcess trainer, boolean yields) {
    this.trainer = trainer;
    this.yields = yields;
  }

  /// Makes the comparison.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  static void run(List<String> prestage, TrainerProcess trainer, Consumer<Check> checks)
      throws IOException, InterruptedException {
    Runtime.getRuntime().addShutdownHook(new Thread(Host::endAll, "clean"));
    Path folder = Files.createTempDirectory("prestage-training");
    try {
      String pairs = ", to that without, median of " + PAIRS + " pairs";
      checks.accept(
          Check.atMost(
              "p99 of reads beside a trainer that rests while guests read" + pairs,
              new BesideTraining(trainer, true).ratio(prestage, folder.resolve("rests")),
              MOST_SLOWED));
      checks.accept(
          new Check(
              "p99 of reads beside a trainer that works on" + pairs,
              new BesideTraining(trainer, false).ratio(prestage, folder.resolve("works")),
              "to be seen",
              true));
    } finally {
      Folders.delete(folder);
    }
  }

  private double ratio(List<String> prestage, Path folder)
      throws IOException, InterruptedException {
    Path images = Files.createDirectories(folder.resolve("images"));
    try (RandomAccessFile image = new RandomAccessFile(images.resolve("disk").toFile(), "rw")) {
      image.setLength(IMAGE_BYTES);
    }
    Path state = folder.resolve("state");
    Thread training = Thread.ofPlatform().daemon().name("training").unstarted(this::train);
    try (Host host =
        Host.start(
            prestage,
            state,
            "origins: [{name: files, directory: %s, anyFormat: true}]\ntier: {capacity: 1GiB}\n"
                .formatted(images))) {
      host.registerReader("vm", "program", "disk", "");
      try (NbdClient disk =
          NbdClient.connect(UnixDomainSocketAddress.of(host.nbdSocket(state)), "vm")) {
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < 10; i++) {
          double _ = p99(disk, random);
        }
        training.start();
        if (!learns.await(STARTS_WITHIN_SECONDS, TimeUnit.SECONDS)) {
          throw new IOException("the trainer does not learn: " + failure.get());
        }
        return medianOfPairs(disk, random, trainerProcess());
      }
    } finally {
      training.interrupt();
      training.join();
    }
  }

  private void train() {
    SplittableRandom random = new SplittableRandom(3);
    long[] words = IntStream.range(0, WORDS).mapToLong(_ -> random.nextInt(VOCABULARY)).toArray();
    try {
      trainer.train(
          new Corpus(List.of(words)), MANY_EPOCHS, this::heard, () -> yields ? reads.get() : 0);
    } catch (IOException e) {
      failure.set(e.toString());
    } catch (InterruptedException e) {
      // It has been compared with.
      Thread.currentThread().interrupt();
    }
  }

  private void heard(String line) {
    if (line.contains("words/s")) {
      learns.countDown();
    }
  }

  private static ProcessHandle trainerProcess() throws IOException {
    return ProcessHandle.current()
        .descendants()
        .filter(each -> each.info().commandLine().orElse("").contains(".trainer.Trainer"))
        .findFirst()
        .orElseThrow(() -> new IOException("the trainer's process is not to be found"));
  }

  private double medianOfPairs(NbdClient disk, SplittableRandom random, ProcessHandle trainer)
      throws IOException, InterruptedException {
    double[] ratios = new double[PAIRS];
    try {
      for (int pair = 0; pair < PAIRS; pair++) {
        double[] p99 = new double[2];
        for (int turn = 0; turn < 2; turn++) {
          // With and without first, in turns.
          int trained = (pair + turn) % 2;
          signal(trainer, trained == 1 ? "CONT" : "STOP");
          LockSupport.parkNanos(SETTLE_NANOS);
          p99[trained] = p99(disk, random);
        }
        ratios[pair] = p99[1] / p99[0];
      }
    } finally {
      signal(trainer, "CONT");
    }
    Arrays.sort(ratios);
    return ratios[PAIRS / 2];
  }

  private static void signal(ProcessHandle process, String signal)
      throws IOException, InterruptedException {
    Process kill =
        new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).inheritIO().start();
    if (kill.waitFor() != 0) {
      throw new IOException("the trainer has ended");
    }
  }

  /// Reads at a steady rate, whether or not they are answered; the hundredth part that took longest
  /// took at least so many nanoseconds from when it was due.
  private double p99(NbdClient disk, SplittableRandom random) throws IOException {
    long[] nanos = new long[READS];
    Semaphore answered = new Semaphore(0);
    AtomicLong errors = new AtomicLong();
    long began = System.nanoTime();
    for (int i = 0; i < READS; i++) {
      long at = began + TimeUnit.SECONDS.toNanos(i) / READS_A_SECOND;
      for (long left = at - System.nanoTime(); left > 0; left = at - System.nanoTime()) {
        LockSupport.parkNanos(left);
      }
      int read = i;
      reads.incrementAndGet();
      disk.read(
          random.nextLong(IMAGE_BYTES / READ_BYTES) * READ_BYTES,
          READ_BYTES,
          (error, _) -> {
            nanos[read] = System.nanoTime() - at;
            errors.addAndGet(error == 0 ? 0 : 1);
            answered.release();
          });
    }
    answered.acquireUninterruptibly(READS);
    if (errors.get() > 0) {
      throw new IOException(errors.get() + " reads failed");
    }
    Arrays.sort(nanos);
    return nanos[READS * 99 / 100];
  }
}
