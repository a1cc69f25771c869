package dev.prestage.benchmarks.engine;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.demo.Folders;
import dev.prestage.benchmarks.simulator.SimulatorGate;
import dev.prestage.dataplane.block.BlockOptions;
import dev.prestage.dataplane.block.BlockStager;
import dev.prestage.dataplane.block.DirectoryOrigin;
import dev.prestage.dataplane.block.Disk;
import dev.prestage.dataplane.block.FileStorage;
import dev.prestage.dataplane.block.PendingRead;
import dev.prestage.dataplane.block.Tier;
import dev.prestage.dataplane.block.VerifiedReader;
import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.time.Clock;
import dev.prestage.link.host.HostClock;
import dev.prestage.simulator.cache.Lru;
import dev.prestage.simulator.cache.PageCache;
import dev.prestage.simulator.cache.S3Fifo;
import dev.prestage.simulator.trace.Trace;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.LongStream;

/// How often a real tier has what public traces ask for, beside other caches of the same size: a
/// tenth of the extents that a trace touches. Nothing is forecast. Touches of an extent one behind
/// the other are one.
final class TierMisses {
  private static final List<String> TRACES = List.of("P3", "P6", "pub_dev", "cloudPhysicsIO");
  private static final int PAGES_PER_EXTENT = Shape.BLOCK_BYTES / 4096;
  private static final int SHARE = 10;
  private static final double MOST_OF_LRU = 1;
  private static final double MOST_OF_TINY_LFU = 1;
  private static final long PATIENCE_SECONDS = 30;

  private TierMisses() {}

  /// Makes all comparisons.
  ///
  /// @param folder with the traces
  static void run(Path folder, Consumer<Check> checks) throws IOException, InterruptedException {
    double logs = 0;
    for (String name : TRACES) {
      long[] touches = touches(SimulatorGate.trace(folder, name));
      int capacity = (int) Arrays.stream(touches).distinct().count() / SHARE;
      double tier = tierMisses(touches, capacity);
      String what = name + ", a tier of a tenth: misses / those of ";
      checks.accept(
          Check.atMost(what + "LRU", tier / misses(touches, new Lru(capacity)), MOST_OF_LRU));
      checks.accept(
          new Check(
              what + "S3-FIFO", tier / misses(touches, new S3Fifo(capacity)), "to be seen", true));
      double ofTinyLfu = tier / misses(touches, new TinyLfu(capacity));
      checks.accept(new Check(what + "W-TinyLFU", ofTinyLfu, "to be seen", true));
      logs += Math.log(ofTinyLfu);
    }
    checks.accept(
        Check.atMost(
            "misses of tiers / those of W-TinyLFU, geometric mean",
            Math.exp(logs / TRACES.size()),
            MOST_OF_TINY_LFU));
  }

  private static long[] touches(Trace trace) {
    LongStream.Builder extents = LongStream.builder();
    long last = -1;
    for (int request = 0; request < trace.requests(); request++) {
      long end = trace.first(request) + trace.count(request) - 1;
      for (long extent = trace.first(request) / PAGES_PER_EXTENT;
          extent <= end / PAGES_PER_EXTENT;
          extent++) {
        if (extent != last) {
          extents.add(extent);
        }
        last = extent;
      }
    }
    return extents.build().toArray();
  }

  private static double misses(long[] touches, PageCache cache) {
    long misses = 0;
    for (long extent : touches) {
      misses += cache.access(extent) ? 0 : 1;
    }
    return misses;
  }

  /// Caffeine's.
  private static final class TinyLfu implements PageCache {
    private final Cache<Long, Boolean> cache;

    TinyLfu(int capacity) {
      cache = Caffeine.newBuilder().maximumSize(capacity).executor(Runnable::run).build();
    }

    @Override
    public boolean access(long page) {
      boolean isHere = cache.getIfPresent(page) != null;
      if (!isHere) {
        cache.put(page, true);
      }
      return isHere;
    }
  }

  private static final class Read extends PendingRead {
    private final CountDownLatch done = new CountDownLatch(1);

    Read(long offset, long nowNanos) {
      super(offset, 1, nowNanos);
    }

    @Override
    protected void finished() {
      done.countDown();
    }
  }

  private static double tierMisses(long[] touches, int capacity)
      throws IOException, InterruptedException {
    Path folder = Files.createTempDirectory("prestage");
    try {
      Path images = Files.createDirectory(folder.resolve("images"));
      try (var image = new RandomAccessFile(images.resolve("disk").toFile(), "rw")) {
        image.setLength((1 + Arrays.stream(touches).max().orElse(0)) * Shape.BLOCK_BYTES);
      }
      Clock clock = new HostClock();
      Doorbell doorbell = new Doorbell();
      var storage = new FileStorage(Files.createDirectory(folder.resolve("tier")));
      try (var stager =
          new BlockStager(
              List.of(new DirectoryOrigin("origin", images, true)),
              new Tier(
                  "tier", (long) capacity * Shape.BLOCK_BYTES, storage, clock, TierMisses::refuse),
              BlockOptions.DEFAULT,
              clock,
              TierMisses::refuse,
              doorbell)) {
        var space = stager.attach(1, "default", "disk");
        read(
            touches,
            new Disk(1, "vm", space, stager, new AccessRing(1 << 12, doorbell), clock),
            clock);
        // Fetches and not waits: a read may be answered before its extent is in the tier, and the
        // next read joins its fetch.
        return stager.originCounts().getFirst().fetchesForDemand();
      }
    } finally {
      Folders.delete(folder);
    }
  }

  private static void read(long[] touches, Disk disk, Clock clock)
      throws IOException, InterruptedException {
    VerifiedReader reader = new VerifiedReader();
    ByteBuffer into = ByteBuffer.allocateDirect(1);
    for (long extent : touches) {
      long offset = extent * Shape.BLOCK_BYTES;
      if (disk.readNow(offset, 1, into.clear(), reader)) {
        continue;
      }
      var read = new Read(offset, clock.nanos());
      disk.readLater(read, reader);
      if (!read.done.await(PATIENCE_SECONDS, TimeUnit.SECONDS) || read.failure() != null) {
        throw new IOException("a read failed: " + read.failure());
      }
    }
  }

  private static void refuse(String kind, String line) {
    throw new IllegalStateException(kind + ": " + line);
  }
}
