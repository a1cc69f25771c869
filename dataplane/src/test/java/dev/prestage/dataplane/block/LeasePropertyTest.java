package dev.prestage.dataplane.block;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Range;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Whatever happens to leases in whatever order: each extent ends once, the account adds up, and
/// every read gets the image's bytes.
final class LeasePropertyTest {
  private static final int EXTENT = TierFile.EXTENT_BYTES;
  private static final int EXTENTS = 200;
  private static final int CAPACITY_EXTENTS = 60;
  private static final int STEPS = 4000;
  private static final int VMS = 3;
  private static final long VISIT_NANOS = 100;
  private static final Moves OFTEN =
      new Moves(
          Duration.ofNanos(VISIT_NANOS),
          Duration.ofNanos(500 * VISIT_NANOS),
          Duration.ofNanos(VISIT_NANOS),
          Duration.ofMillis(1));

  private final TestOrigin origin = new TestOrigin();
  private final CrashStorage storage = new CrashStorage();
  private final List<CrashStorage> storages = new ArrayList<>();
  private final List<Tier> tiers = new ArrayList<>();
  private final AtomicLong now = new AtomicLong(1);
  private final Doorbell doorbell = new Doorbell();
  private final AccessRing ring = new AccessRing(1 << 10, doorbell);
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(Fetch.MAX_BYTES);
  private final VerifiedReader reader = new VerifiedReader();
  private final Account account = new Account();

  /// The leases of a test and what was heard of them.
  private static final class Account {
    final Map<Long, Lease> granted = new HashMap<>();
    final Map<Long, LeaseState> heard = new HashMap<>();

    synchronized void grant(Lease lease) {
      granted.put(lease.id(), lease);
    }

    synchronized void hear(List<LeaseState> states, String when) {
      for (LeaseState state : states) {
        LeaseState before = heard.put(state.leaseId(), state);
        assertThat(state.isConsistent()).as(when).isTrue();
        if (before != null) {
          assertThat(state.useful() & before.useful()).as(when).isEqualTo(before.useful());
          assertThat(state.late() & before.late()).as(when).isEqualTo(before.late());
          assertThat(state.unused() & before.unused()).as(when).isEqualTo(before.unused());
          assertThat(state.failed() & before.failed()).as(when).isEqualTo(before.failed());
          assertThat(state.ended() & before.ended()).as(when).isEqualTo(before.ended());
          assertThat(state.ready() & before.ready()).as(when).isEqualTo(before.ready());
        }
        assertThat(state.ended() & ~requireNonNull(granted.get(state.leaseId())).mask())
            .as(when)
            .isZero();
        assertThat(state.useful() | state.unused())
            .as(when)
            .isEqualTo((state.useful() | state.unused()) & state.ready());
      }
    }

    synchronized long grantedExtents() {
      return granted.values().stream().mapToLong(Lease::units).sum();
    }

    synchronized long endedExtents() {
      return heard.values().stream().mapToLong(s -> Long.bitCount(s.ended())).sum();
    }

    synchronized long count(java.util.function.ToLongFunction<LeaseState> outcome) {
      return heard.values().stream().mapToLong(s -> Long.bitCount(outcome.applyAsLong(s))).sum();
    }
  }

  /// A read that checks what it gets.
  private static final class CheckedRead extends PendingRead {
    private final byte[] image;
    private final CountDownLatch ended;
    private final AtomicReference<String> wrong;

    CheckedRead(
        byte[] image,
        long offset,
        int length,
        long nanos,
        CountDownLatch ended,
        AtomicReference<String> wrong) {
      super(offset, length, nanos);
      this.image = image;
      this.ended = ended;
      this.wrong = wrong;
    }

    @Override
    protected void finished() {
      int at = (int) offset();
      if (failure() == null && !Arrays.equals(bytes(), 0, length(), image, at, at + length())) {
        wrong.set("wrong bytes at " + at);
      }
      ended.countDown();
    }
  }

  /// Over one tier, or several that together are as large.
  private BlockStager stager(boolean threaded, int count, boolean fills) throws Exception {
    BlockOptions options = BlockOptions.DEFAULT;
    if (fills) {
      options =
          new BlockOptions(
              options.stagingFetches(),
              options.demandFetches(),
              options.readDeadline(),
              options.attemptDeadline(),
              new FillOptions(1L << 40, 0));
    }
    for (int i = 0; i < count; i++) {
      storages.add(i == 0 ? storage : new CrashStorage());
      // Only what fits as a whole is filled, and only small tiers hand anything down.
      boolean large = fills && i == count - 1;
      long bytes = (large ? 2L * EXTENTS : (long) CAPACITY_EXTENTS / count) * EXTENT;
      tiers.add(new Tier("tier" + i, bytes, storages.get(i), now::get, (_, _) -> {}));
    }
    return new BlockStager(
        List.of(origin),
        new Tiers(tiers, OFTEN, (_, _) -> {}),
        options,
        now::get,
        (_, _) -> {},
        doorbell,
        threaded);
  }

  private void assertTiersAddUp(BlockSpace space, String when) {
    BitSet seen = new BitSet();
    for (Shelf shelf : space.shelves) {
      BitSet here = shelf.file().resident.toBitSet();
      assertThat(here.intersects(seen)).as("an extent in two tiers, " + when).isFalse();
      seen.or(here);
      assertThat(shelf.tier().usedBytes()).as(when).isEqualTo(shelf.file().residentBytes());
      TiersTest.assertPassagesAddUp(shelf.tier());
    }
  }

  private static Lease lease(long id, Random random, long now) {
    int count = 1 + random.nextInt(random.nextInt(4) == 0 ? Lease.MAX_UNITS : 8);
    return new Lease(
        id,
        random.nextInt(VMS),
        new Range(9, random.nextInt(EXTENTS + 4), count),
        0,
        1,
        0,
        now + random.nextInt(100),
        Long.MAX_VALUE);
  }

  @ParameterizedTest
  @CsvSource({
    "1,1,false",
    "2,1,false",
    "3,1,false",
    "4,1,false",
    "5,1,false",
    "6,1,false",
    "7,1,false",
    "8,1,false",
    "1,3,false",
    "2,3,false",
    "3,3,false",
    "4,2,false",
    "1,1,true",
    "2,1,true",
    "3,3,true",
    "4,2,true"
  })
  void eachExtentOfALeaseEndsExactlyOnce(long seed, int count, boolean fills) throws Exception {
    var random = new Random(seed);
    byte[] image = origin.put("disk", EXTENTS * EXTENT - 777, seed);
    AtomicReference<String> wrong = new AtomicReference<>("");
    try (BlockStager stager = stager(false, count, fills)) {
      BlockSpace space = stager.attach(9, "t", "disk");
      List<Disk> disks = new ArrayList<>();
      for (int vm = 0; vm < VMS; vm++) {
        disks.add(new Disk(vm, "vm" + vm, space, stager, ring, now::get));
      }
      long next = 0;
      for (int step = 0; step < STEPS; step++) {
        String when = "seed " + seed + ", step " + step;
        now.addAndGet(random.nextInt(1000));
        switch (random.nextInt(14)) {
          case 0, 1, 2 -> {
            Lease lease = lease(++next, random, now.get());
            account.grant(lease);
            stager.stage(lease);
          }
          case 3 -> stager.cancel(1 + random.nextInt((int) next + 1));
          case 4, 5 -> stager.reclaim(1 + random.nextInt((int) next + 1));
          case 6 ->
              storages.get(random.nextInt(count)).flip("t/disk.data", random.nextInt(image.length));
          case 7 -> {
            origin.fail(1);
            stager.step("test", buffer);
            origin.fail(0);
          }
          case 8 -> {
            storages.get(random.nextInt(count)).setFull(random.nextInt(4) == 0);
            stager.settleTiers();
            now.addAndGet(random.nextInt(4) == 0 ? 100_000_000_000L : 0);
          }
          case 9, 10, 11 -> {
            int offset = random.nextInt(image.length - 1);
            int length = 1 + random.nextInt(Math.min(image.length - offset, 3 * EXTENT) - 1 + 1);
            length = Math.min(length, image.length - offset);
            demand(disks.get(random.nextInt(VMS)), image, offset, length, wrong);
          }
          default -> stager.step("test", buffer);
        }
        if (fills && random.nextInt(50) == 0) {
          letFill(stager);
        }
        account.hear(stager.takeChanged(), when);
        stager.takeEvicted((_, _, _) -> {});
        assertThat(wrong.get()).as(when).isEmpty();
        if (fills && random.nextInt(100) == 0) {
          // All of it fits, so that fill has nothing to do unless much of it is gone.
          for (Tier tier : tiers) {
            tier.purge("t", "disk");
          }
        }
        if (random.nextInt(500) == 0) {
          assertThat(stager.attach(9, "t", "disk")).isSameAs(space);
          stager.detach(space, random.nextInt(VMS));
        }
      }
      storages.forEach(each -> each.setFull(false));
      // Pauses after failures are over.
      now.addAndGet(Duration.ofMinutes(2).toNanos());
      if (fills) {
        for (Tier tier : tiers) {
          tier.purge("t", "disk");
        }
      }
      settle(stager, next);
      assertTiersAddUp(space, "seed " + seed);
      assertThat(tiers.stream().mapToLong(Tier::demotedBytes).sum() > 0).isEqualTo(count > 1);
      assertThat(tiers.stream().mapToLong(tier -> tier.passedBytes(Passage.FILLED)).sum() > 0)
          .isEqualTo(fills);
      assertThat(account.endedExtents()).as("seed %d", seed).isEqualTo(account.grantedExtents());
      assertThat(stager.takeHeld()).isEmpty();
      assertThat(account.count(LeaseState::useful)).as("useful").isPositive();
      assertThat(account.count(LeaseState::late)).as("late").isPositive();
      assertThat(account.count(LeaseState::unused)).as("unused").isPositive();
      assertThat(account.count(LeaseState::redundant)).as("redundant").isPositive();
      assertThat(account.count(LeaseState::failed)).as("failed").isPositive();
      assertThat(account.count(LeaseState::cancelled)).as("cancelled").isPositive();
    }
  }

  private void demand(
      Disk disk, byte[] image, int offset, int length, AtomicReference<String> wrong) {
    ByteBuffer into = ByteBuffer.allocateDirect(length);
    if (disk.readNow(offset, length, into, reader)) {
      if (!into.flip().equals(ByteBuffer.wrap(image, offset, length))) {
        wrong.set("wrong bytes at " + offset);
      }
    } else {
      var read = new CheckedRead(image, offset, length, now.get(), new CountDownLatch(1), wrong);
      disk.readLater(read, reader);
    }
  }

  /// Makes room, and gives fill what it waits for: nothing that waits, and time.
  private void letFill(BlockStager stager) throws IOException {
    for (Tier tier : tiers) {
      tier.purge("t", "disk");
    }
    for (int i = 0; i < 2 * EXTENTS; i++) {
      stager.step("test", buffer);
      now.addAndGet(1000);
    }
  }

  private void settle(BlockStager stager, long leases) {
    while (stager.step("test", buffer)) {
      // until nothing is left to fetch
    }
    for (long id = 1; id <= leases; id++) {
      stager.reclaim(id);
    }
    account.hear(stager.takeChanged(), "at the end");
  }

  @ParameterizedTest
  @CsvSource({"1,false", "3,false", "1,true", "3,true"})
  void theAccountAddsUpWhenManyThreadsDoEverythingAtOnce(int count, boolean fills)
      throws Exception {
    long seed = System.nanoTime();
    System.out.println("LeasePropertyTest seed " + seed);
    byte[] image = origin.put("disk", EXTENTS * EXTENT - 777, seed);
    AtomicReference<String> wrong = new AtomicReference<>("");
    var ids = new AtomicLong();
    AtomicReference<@Nullable BlockSpace> attached = new AtomicReference<>();
    try (BlockStager stager = stager(true, count, fills)) {
      BlockSpace space = stager.attach(9, "t", "disk");
      attached.set(space);
      var disk = new Disk(0, "vm0", space, stager, ring, now::get);
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        long threadSeed = seed + i;
        threads.add(
            Thread.ofPlatform().start(() -> readAlot(disk, image, new Random(threadSeed), wrong)));
        threads.add(
            Thread.ofPlatform().start(() -> leaseAlot(stager, ids, new Random(~threadSeed))));
      }
      Thread listener =
          Thread.ofPlatform()
              .start(() -> {
                while (threads.stream().anyMatch(Thread::isAlive)) {
                  account.hear(stager.takeChanged(), "meanwhile");
                  stager.takeEvicted((_, _, _) -> {});
                  doorbell.sleep(1_000_000, stager::hasNews);
                }
              });
      for (Thread thread : threads) {
        thread.join(TimeUnit.SECONDS.toMillis(60));
        assertThat(thread.isAlive()).as("seed %d", seed).isFalse();
      }
      listener.join();
      for (long id = 1; id <= ids.get(); id++) {
        stager.reclaim(id);
      }
      // What is still on its way ends when it lands; a guest has its answer a moment before the
      // fetcher forgets the read.
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
      do {
        account.hear(stager.takeChanged(), "at the end");
        doorbell.sleep(1_000_000, stager::hasNews);
      } while ((account.endedExtents() < account.grantedExtents() || stager.pendingReads() > 0)
          && System.nanoTime() < deadline);
      assertThat(wrong.get()).as("seed %d", seed).isEmpty();
      assertThat(account.endedExtents()).as("seed %d", seed).isEqualTo(account.grantedExtents());
      assertThat(stager.pendingReads()).as("seed %d", seed).isZero();
    }
    assertTiersAddUp(requireNonNull(attached.get()), "seed " + seed);
  }

  private void readAlot(Disk disk, byte[] image, Random random, AtomicReference<String> wrong) {
    var own = new VerifiedReader();
    for (int i = 0; i < STEPS / 2; i++) {
      now.addAndGet(VISIT_NANOS);
      int offset = random.nextInt(image.length - 2 * EXTENT);
      int length = 1 + random.nextInt(2 * EXTENT);
      ByteBuffer into = ByteBuffer.allocateDirect(length);
      if (disk.readNow(offset, length, into, own)) {
        if (!into.flip().equals(ByteBuffer.wrap(image, offset, length))) {
          wrong.set("wrong bytes at " + offset);
        }
        continue;
      }
      var ended = new CountDownLatch(1);
      disk.readLater(new CheckedRead(image, offset, length, now.get(), ended, wrong), own);
      if (!await(ended)) {
        wrong.set("a read does not end");
        return;
      }
    }
  }

  private static boolean await(CountDownLatch latch) {
    try {
      return latch.await(30, TimeUnit.SECONDS);
    } catch (InterruptedException _) {
      return false;
    }
  }

  private void leaseAlot(BlockStager stager, AtomicLong ids, Random random) {
    for (int i = 0; i < STEPS / 2; i++) {
      switch (random.nextInt(4)) {
        case 0, 1 -> {
          Lease lease = lease(ids.incrementAndGet(), random, i);
          account.grant(lease);
          stager.stage(lease);
        }
        case 2 -> stager.cancel(1 + random.nextInt(ids.intValue() + 1));
        default -> stager.reclaim(1 + random.nextInt(ids.intValue() + 1));
      }
    }
  }
}
