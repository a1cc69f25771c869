package dev.prestage.benchmarks.engine;

import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.demo.Folders;
import dev.prestage.dataplane.block.BlockOptions;
import dev.prestage.dataplane.block.BlockStager;
import dev.prestage.dataplane.block.DirectoryOrigin;
import dev.prestage.dataplane.block.Disk;
import dev.prestage.dataplane.block.FaultyOrigin;
import dev.prestage.dataplane.block.FileStorage;
import dev.prestage.dataplane.block.PendingRead;
import dev.prestage.dataplane.block.Tier;
import dev.prestage.dataplane.block.VerifiedReader;
import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.fault.Faults;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.host.HostClock;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/// Guests that read while staging has more to fetch than the link to the origin moves: how many of
/// their reads wait for staging's, and how long they take beside reads of a link that is theirs.
final class BehindStaging {
  private static final Faults LINK = Faults.link(Duration.ofMillis(5), 200_000_000);
  private static final int STAGED = 64 * Lease.MAX_UNITS;
  private static final int READERS = 8;
  private static final int READS = 100;
  private static final int EXTENTS = STAGED + READERS * READS;
  private static final double MOST_BEHIND = 0.01;
  private static final long PATIENCE_SECONDS = 30;

  private final Path folder;
  private final List<Long> waits = new ArrayList<>();
  private final List<String> failures = new ArrayList<>();

  private BehindStaging(Path folder) {
    this.folder = folder;
  }

  /// Makes both comparisons.
  static void run(Consumer<Check> checks) throws IOException, InterruptedException {
    Path folder = Files.createTempDirectory("prestage");
    try {
      Files.createDirectory(folder.resolve("images"));
      try (var image = new RandomAccessFile(folder.resolve("images/disk").toFile(), "rw")) {
        image.setLength((long) EXTENTS * Shape.BLOCK_BYTES);
      }
      Result alone = new BehindStaging(folder).read("alone", false);
      Result beside = new BehindStaging(folder).read("beside", true);
      checks.accept(
          Check.atMost(
              "share of demand that waits for its turn behind staging, saturated link",
              beside.behind,
              MOST_BEHIND));
      checks.accept(
          new Check(
              "a demand read beside staging / alone, median",
              beside.medianNanos / alone.medianNanos,
              "to be seen",
              true));
    } finally {
      Folders.delete(folder);
    }
  }

  /// @param behind the share of fetches for demand that had to wait for their turn
  private record Result(double behind, double medianNanos) {}

  private static final class Read extends PendingRead {
    private final CountDownLatch done = new CountDownLatch(1);

    Read(long offset, long nowNanos) {
      super(offset, Shape.BLOCK_BYTES, nowNanos);
    }

    @Override
    protected void finished() {
      done.countDown();
    }
  }

  private Result read(String name, boolean staging) throws IOException, InterruptedException {
    Clock clock = new HostClock();
    Doorbell doorbell = new Doorbell();
    Path directory = Files.createDirectory(folder.resolve(name));
    var storage = new FileStorage(directory);
    var tier =
        new Tier(name, (long) EXTENTS * Shape.BLOCK_BYTES, storage, clock, (_, line) -> fail(line));
    var origin =
        FaultyOrigin.of(new DirectoryOrigin("origin", folder.resolve("images"), true), LINK);
    try (var stager =
        new BlockStager(
            List.of(origin),
            tier,
            BlockOptions.DEFAULT,
            clock,
            (_, line) -> fail(line),
            doorbell)) {
      var space = stager.attach(1, "default", "disk");
      var disk = new Disk(1, "vm", space, stager, new AccessRing(1 << 12, doorbell), clock);
      for (int at = 0; staging && at < STAGED; at += Lease.MAX_UNITS) {
        stager.stage(
            new Lease(1 + at, 1, new Range(1, at, Lease.MAX_UNITS), 0, 1, 0, at, Long.MAX_VALUE));
      }
      List<Thread> readers = new ArrayList<>();
      for (int reader = 0; reader < READERS; reader++) {
        int first = STAGED + reader * READS;
        readers.add(Thread.ofPlatform().start(() -> readAll(disk, first, clock)));
      }
      for (Thread reader : readers) {
        reader.join();
      }
      if (staging && space.resident().cardinality() == EXTENTS) {
        fail("staging ended before the readers did");
      }
      BlockStager.OriginCounts counts = stager.originCounts().getFirst();
      if (!failures.isEmpty() || counts.fetchesForDemand() == 0) {
        throw new IOException("reading " + name + ": " + failures);
      }
      long[] sorted = waits.stream().mapToLong(Long::longValue).sorted().toArray();
      return new Result(
          (double) counts.fetchesBehindStaging() / counts.fetchesForDemand(),
          Arrays.stream(sorted).skip(sorted.length / 2).findFirst().orElse(0));
    }
  }

  /// Every second extent, so that none is read with its neighbour.
  private void readAll(Disk disk, int first, Clock clock) {
    VerifiedReader own = new VerifiedReader();
    for (int i = 0; i < READS; i += 2) {
      long began = clock.nanos();
      var read = new Read((long) (first + i) * Shape.BLOCK_BYTES, began);
      disk.readLater(read, own);
      try {
        if (!read.done.await(PATIENCE_SECONDS, TimeUnit.SECONDS) || read.failure() != null) {
          fail("a read failed: " + read.failure());
          return;
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
      ended(clock.nanos() - began);
    }
  }

  private synchronized void ended(long nanos) {
    waits.add(nanos);
  }

  private synchronized void fail(String line) {
    failures.add(line);
  }
}
