package dev.prestage.dataplane.block;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Range;
import dev.prestage.link.host.HostClock;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// How demand and staging share an origin.
final class BlockStagerTest {
  private static final int EXTENT = TierFile.EXTENT_BYTES;
  private static final int EXTENTS = 256;
  private static final int SPACE = 3;
  private static final int VM = 8;
  private static final BlockOptions SMALL =
      new BlockOptions(2, 1, Duration.ofSeconds(20), Duration.ofSeconds(10));

  private final TestOrigin origin = new TestOrigin();
  private final CrashStorage storage = new CrashStorage();
  private final HostClock clock = new HostClock();
  private final List<String> troubles = Collections.synchronizedList(new ArrayList<>());
  private final byte[] image = origin.put("disk", EXTENTS * EXTENT, 11);
  private final Doorbell doorbell = new Doorbell();
  private final VerifiedReader reader = new VerifiedReader();
  private final List<LeaseState> heard = new ArrayList<>();
  private @Nullable BlockStager open;

  private static final class Read extends PendingRead {
    private final CountDownLatch end = new CountDownLatch(1);

    Read(long offset, int length, long nanos) {
      super(offset, length, nanos);
    }

    @Override
    protected void finished() {
      end.countDown();
    }

    Read await() throws InterruptedException {
      assertThat(end.await(20, TimeUnit.SECONDS)).as("the read ends").isTrue();
      return this;
    }
  }

  private Disk start(BlockOptions options, int capacityExtents) throws IOException {
    Tier tier =
        new Tier(
            "ssd",
            (long) capacityExtents * EXTENT,
            storage,
            clock,
            (kind, text) -> troubles.add(kind + " " + text));
    BlockStager stager =
        new BlockStager(
            List.of(origin),
            tier,
            options,
            clock,
            (kind, text) -> troubles.add(kind + " " + text),
            doorbell);
    open = stager;
    return new Disk(
        VM, "vm", stager.attach(SPACE, "t", "disk"), stager, new AccessRing(64, doorbell), clock);
  }

  private BlockStager stager() {
    return requireNonNull(open);
  }

  @AfterEach
  void close() throws IOException {
    if (open != null) {
      open.close();
    }
  }

  private Read read(Disk disk, int extent, int count) {
    var read = new Read((long) extent * EXTENT, count * EXTENT, clock.nanos());
    disk.readLater(read, new VerifiedReader());
    return read;
  }

  private void assertRight(Read read) {
    assertThat(read.failure()).isNull();
    int at = (int) read.offset();
    assertThat(Arrays.equals(read.bytes(), 0, read.length(), image, at, at + read.length()))
        .as("the bytes of the image")
        .isTrue();
  }

  private static Lease lease(long id, int first, int extents, long due) {
    return new Lease(id, VM, new Range(SPACE, first, extents), 0, 1, 0, due, Long.MAX_VALUE);
  }

  private LeaseState await(long lease, Predicate<LeaseState> condition) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (System.nanoTime() < deadline) {
      heard.addAll(stager().takeChanged());
      for (LeaseState state : heard.reversed()) {
        if (state.leaseId() == lease) {
          if (condition.test(state)) {
            return state;
          }
          break;
        }
      }
      doorbell.sleep(TimeUnit.MILLISECONDS.toNanos(5), stager()::hasNews);
    }
    throw new AssertionError("lease " + lease + " stays as it is: " + heard);
  }

  private void awaitTrouble(String kind) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (List.copyOf(troubles).stream().noneMatch(trouble -> trouble.startsWith(kind))) {
      assertThat(System.nanoTime()).as("%s in %s", kind, troubles).isLessThan(deadline);
      doorbell.sleep(TimeUnit.MILLISECONDS.toNanos(5), () -> false);
    }
  }

  private void awaitServedUnkept(int extents) {
    int[] gone = {0};
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (gone[0] < extents) {
      assertThat(System.nanoTime()).as("extents told as not kept").isLessThan(deadline);
      doorbell.sleep(TimeUnit.MILLISECONDS.toNanos(5), () -> false);
      stager().takeEvicted((_, _, n) -> gone[0] += n);
    }
  }

  @Test
  void concurrentMissesOfOneExtentFetchOnce() throws Exception {
    Disk disk = start(BlockOptions.DEFAULT, EXTENTS);
    origin.allow(0);
    List<Read> reads = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      reads.add(read(disk, 5, 1));
    }
    origin.awaitReads(1);
    origin.allowAll();
    for (Read read : reads) {
      assertRight(read.await());
    }
    assertThat(origin.reads()).containsExactly(new TestOrigin.Read(5 * EXTENT, EXTENT));
    assertThat(disk.waits()).isEqualTo(20);
  }

  @Test
  void whatADemandMissesIsFetchedInOneGo() throws Exception {
    Disk disk = start(BlockOptions.DEFAULT, EXTENTS);
    assertRight(read(disk, 2, 1).await());
    assertRight(read(disk, 0, 8).await());
    assertThat(origin.reads())
        .containsExactlyInAnyOrder(
            new TestOrigin.Read(2 * EXTENT, EXTENT),
            new TestOrigin.Read(0, 2 * EXTENT),
            new TestOrigin.Read(3 * EXTENT, 5 * EXTENT));
  }

  @Test
  void demandJoinsTheStagingInFlightAndThatWasLate() throws Exception {
    Disk disk = start(BlockOptions.DEFAULT, EXTENTS);
    origin.allow(0);
    stager().stage(lease(1, 0, 4, 0));
    origin.awaitReads(1);
    Read read = read(disk, 2, 1);
    origin.allowAll();
    assertRight(read.await());
    LeaseState state = await(1, s -> s.ready() == 0b1111);
    assertThat(state.late()).isEqualTo(0b0100);
    assertThat(state.ended()).isEqualTo(0b0100);
    assertThat(origin.reads()).hasSize(1);
  }

  @Test
  void demandOvertakesQueuedStaging() throws Exception {
    Disk disk = start(SMALL, EXTENTS);
    origin.allow(0);
    for (int i = 0; i < 4; i++) {
      stager().stage(lease(i + 1, 16 * i, 16, i));
    }
    origin.awaitReads(1);
    // The window holds the rest back; demand pulls an extent out of the third lease.
    Read read = read(disk, 40, 1);
    origin.awaitReads(2);
    assertThat(origin.reads().get(1)).isEqualTo(new TestOrigin.Read(40 * EXTENT, EXTENT));
    origin.allowAll();
    assertRight(read.await());
    LeaseState state = await(3, s -> Long.bitCount(s.ready() | s.ended()) == 16);
    assertThat(state.late()).isEqualTo(1 << 8);
    assertThat(state.ready()).isEqualTo(0xffff & ~(1 << 8));
  }

  @Test
  void stagingGoesByDueTimeAcrossLeases() throws Exception {
    // One fetch at a time: of two, either may come to the origin first.
    start(new BlockOptions(1, 1, Duration.ofSeconds(20), Duration.ofSeconds(10)), EXTENTS);
    origin.allow(0);
    stager().stage(lease(1, 0, 16, 5));
    origin.awaitReads(1);
    stager().stage(lease(2, 64, 1, 30));
    stager().stage(lease(3, 128, 1, 10));
    stager().stage(lease(4, 192, 1, 20));
    origin.allowAll();
    await(2, s -> s.ready() != 0);
    assertThat(origin.reads().stream().map(r -> r.offset() / EXTENT))
        .containsExactly(0L, 128L, 192L, 64L);
  }

  @Test
  void hungStagingLeavesRoomForDemand() throws Exception {
    Disk disk = start(SMALL, EXTENTS);
    origin.allow(0);
    for (int i = 0; i < 8; i++) {
      stager().stage(lease(i + 1, 8 * i, 1, i));
    }
    origin.awaitReads(2);
    Read read = read(disk, 100, 1);
    origin.awaitReads(3);
    assertThat(origin.reads()).hasSize(3);
    assertThat(origin.reads().get(2).offset()).isEqualTo(100L * EXTENT);
    origin.allowAll();
    assertRight(read.await());
  }

  @Test
  void demandThatIsBeingWrittenToATierKeepsNoneFromTheOrigin() throws Exception {
    Disk disk =
        start(new BlockOptions(1, 1, Duration.ofSeconds(20), Duration.ofSeconds(10)), EXTENTS);
    storage.hold();
    try {
      // Each guest has its bytes, and each write hangs.
      for (int extent = 0; extent < 6; extent += 2) {
        assertRight(read(disk, extent, 1).await());
      }
    } finally {
      storage.release();
    }
  }

  @Test
  void theOriginGetsNoMoreRequestsAtATimeThanItMay() throws Exception {
    Disk disk = start(SMALL, EXTENTS);
    origin.allow(0);
    List<Read> reads = new ArrayList<>();
    for (int extent = 0; extent < 10; extent += 2) {
      reads.add(read(disk, extent, 1));
    }
    origin.awaitReads(3);
    assertThat(origin.reads()).hasSize(3);
    // One that ends lets one in.
    origin.allow(1);
    origin.awaitReads(4);
    assertThat(origin.reads()).hasSize(4);
    origin.allowAll();
    for (Read read : reads) {
      assertRight(read.await());
    }
  }

  @Test
  void aStagedExtentIsUsefulOnItsFirstDemandOnly() throws Exception {
    Disk disk = start(BlockOptions.DEFAULT, EXTENTS);
    stager().stage(lease(1, 3, 2, 0));
    await(1, s -> s.ready() == 0b11);
    ByteBuffer into = ByteBuffer.allocateDirect(4096);
    assertThat(disk.readNow(3 * EXTENT, 4096, into, reader)).isTrue();
    LeaseState state = await(1, s -> s.useful() == 0b01);
    assertThat(state.leadNanos()).isPositive();
    assertThat(disk.readNow(3 * EXTENT, 4096, into.clear(), reader)).isTrue();
    stager().reclaim(1);
    LeaseState last = await(1, s -> s.ended() == 0b11);
    assertThat(last.unused()).isEqualTo(0b10);
    assertThat(last.leadNanos()).isEqualTo(state.leadNanos());
    assertThat(disk.space().resident().stream()).containsExactly(3);
    List<String> evicted = new ArrayList<>();
    stager().takeEvicted((space, first, n) -> evicted.add(space + ":" + first + "+" + n));
    assertThat(evicted).containsExactly("3:4+1");
  }

  @Test
  void theSecondLeaseOnAnExtentIsRedundantOnceTheFirstHasIt() throws Exception {
    start(BlockOptions.DEFAULT, EXTENTS);
    origin.allow(0);
    stager().stage(lease(1, 0, 2, 0));
    origin.awaitReads(1);
    stager().stage(lease(2, 1, 2, 0));
    assertThat(await(2, _ -> true).ended()).isZero();
    origin.allowAll();
    LeaseState second = await(2, s -> (s.ready() | s.ended()) == 0b11);
    assertThat(second.redundant()).isEqualTo(0b01);
    assertThat(second.ready()).isEqualTo(0b10);
    stager().stage(lease(3, 0, 3, 0));
    assertThat(await(3, _ -> true).redundant()).isEqualTo(0b111);
  }

  @Test
  void whoWaitsForACancelledLeaseTakesItsPlace() throws Exception {
    start(BlockOptions.DEFAULT, EXTENTS);
    origin.allow(0);
    stager().stage(lease(1, 0, 1, 0));
    origin.awaitReads(1);
    stager().stage(lease(2, 0, 1, 0));
    stager().cancel(1);
    assertThat(await(1, _ -> true).cancelled()).isEqualTo(1);
    origin.allowAll();
    assertThat(await(2, s -> s.ready() == 1).ended()).isZero();
  }

  @Test
  void whatIsCancelledInFlightIsNotKept() throws Exception {
    Disk disk = start(BlockOptions.DEFAULT, EXTENTS);
    origin.allow(0);
    stager().stage(lease(1, 0, 2, 0));
    origin.awaitReads(1);
    stager().cancel(1);
    origin.allowAll();
    // A later fetch of the same queue has landed only after the first has.
    stager().stage(lease(2, 9, 1, 0));
    await(2, s -> s.ready() == 1);
    close();
    assertThat(disk.space().resident().stream()).containsExactly(9);
  }

  @Test
  void anOriginErrorFailsStagingAtOnceAndDemandTriesAgain() throws Exception {
    Disk disk = start(BlockOptions.DEFAULT, EXTENTS);
    origin.fail(1);
    stager().stage(lease(1, 0, 3, 0));
    assertThat(await(1, s -> s.ended() == 0b111).failed()).isEqualTo(0b111);
    origin.fail(3);
    assertRight(read(disk, 20, 1).await());
    assertThat(origin.reads()).hasSize(5);
    assertThat(troubles).allMatch(t -> t.startsWith("origin-error origin 'test' fails to read"));
  }

  @Test
  void demandThatJoinedAFailingStagingIsFetchedByItself() throws Exception {
    Disk disk = start(BlockOptions.DEFAULT, EXTENTS);
    origin.allow(0);
    stager().stage(lease(1, 0, 4, 0));
    origin.awaitReads(1);
    Read read = read(disk, 1, 2);
    origin.fail(1);
    origin.allowAll();
    assertRight(read.await());
    LeaseState state = await(1, s -> s.ended() == 0b1111);
    assertThat(state.late()).isEqualTo(0b0110);
    assertThat(state.failed()).isEqualTo(0b1001);
    assertThat(origin.reads().getLast()).isEqualTo(new TestOrigin.Read(EXTENT, 2 * EXTENT));
  }

  @Test
  void anOriginThatFailsAgainAndAgainIsAskedForNothingThatNobodyWaitsFor() throws Exception {
    Disk disk =
        start(new BlockOptions(1, 1, Duration.ofSeconds(20), Duration.ofSeconds(10)), EXTENTS);
    origin.fail(Integer.MAX_VALUE);
    for (int id = 1; id <= Breaker.FAILURES; id++) {
      stager().stage(lease(id, id, 1, 0));
      await(id, state -> state.failed() == 1);
    }
    assertThat(origin.reads()).hasSize(Breaker.FAILURES);
    awaitTrouble("origin-down");
    stager().stage(lease(20, 20, 2, 0));
    await(20, state -> state.failed() == 0b11);
    assertThat(origin.reads()).as("nobody waits for it").hasSize(Breaker.FAILURES);
    origin.fail(0);
    assertRight(read(disk, 30, 1).await());
    stager().stage(lease(21, 21, 1, 0));
    await(21, state -> state.ready() == 1);
  }

  @Test
  void whatIsQueuedFailsWhenItsOriginIsLeftAlone() throws Exception {
    start(new BlockOptions(1, 1, Duration.ofSeconds(20), Duration.ofSeconds(10)), EXTENTS);
    origin.allow(0);
    origin.fail(Integer.MAX_VALUE);
    for (int id = 0; id < 3 * Breaker.FAILURES; id++) {
      stager().stage(lease(100 + id, 2 * id, 1, id));
      // One that joins it.
      stager().stage(lease(200 + id, 2 * id, 1, id));
    }
    origin.allowAll();
    for (int id = 0; id < 3 * Breaker.FAILURES; id++) {
      await(100 + id, state -> state.failed() == 1);
      await(200 + id, state -> state.failed() == 1);
    }
    assertThat(origin.reads()).hasSize(Breaker.FAILURES);
  }

  @Test
  void aHungFetchIsAbandonedAndDemandIsFetchedAnew() throws Exception {
    Disk disk =
        start(new BlockOptions(1, 1, Duration.ofSeconds(20), Duration.ofMillis(200)), EXTENTS);
    origin.allow(0);
    stager().stage(lease(1, 0, 1, 0));
    origin.awaitReads(1);
    Read read = read(disk, 0, 1);
    // The first attempt never returns; the second is let through.
    origin.awaitReads(2);
    origin.allow(2);
    assertRight(read.await());
    assertThat(await(1, s -> s.ended() == 1).late()).isEqualTo(1);
    close();
    assertThat(troubles).anyMatch(t -> t.startsWith("origin-hangs"));
  }

  @Test
  void aReadOfAnOriginThatHangsFailsAtItsDeadlineAndLaterReadsWork() throws Exception {
    Disk disk =
        start(new BlockOptions(2, 2, Duration.ofSeconds(1), Duration.ofMillis(300)), EXTENTS);
    origin.allow(0);
    Read read = read(disk, 0, 1).await();
    assertThat(read.failure()).contains("did not answer within 1000 ms");
    origin.allowAll();
    assertRight(read(disk, 0, 1).await());
    // A guest has its answer a moment before the fetcher forgets the read.
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (stager().pendingReads() > 0 && System.nanoTime() < deadline) {
      Thread.onSpinWait();
    }
    assertThat(stager().pendingReads()).isZero();
  }

  @Test
  void aReadOfAnOriginThatFailsIsToldWhatItSaidAndNotThatItWasSilent() throws Exception {
    Disk disk =
        start(new BlockOptions(2, 2, Duration.ofMillis(500), Duration.ofMillis(300)), EXTENTS);
    origin.fail(Integer.MAX_VALUE);
    assertThat(read(disk, 0, 1).await().failure())
        .startsWith("the origin failed for 500 ms: ")
        .doesNotContain("did not answer");
  }

  @Test
  void closingDoesNotWaitForAnOriginThatHangs() throws Exception {
    Disk disk = start(BlockOptions.DEFAULT, EXTENTS);
    origin.allow(0);
    Read read = read(disk, 0, 1);
    origin.awaitReads(1);
    close();
    open = null;
    assertThat(read.await().failure()).contains("stopping");
  }

  @Test
  void whatAShrunkFetchDoesNotBringAnyMoreIsNotKept() throws Exception {
    Disk disk = start(new BlockOptions(1, 1, Duration.ofSeconds(60), Duration.ofSeconds(30)), 5);
    stager().stage(lease(1, 0, 3, 0));
    await(1, s -> s.ready() == 0b111);
    final int before = origin.reads().size();
    origin.allow(0);
    // The only fetch for leases waits for the origin, so the next one waits for demand.
    stager().stage(lease(3, 50, 1, 0));
    origin.awaitReads(before + 1);
    stager().stage(lease(2, 10, 3, 0));
    Read joined = read(disk, 11, 2);
    origin.awaitReads(before + 2);
    // There is room now, for what this fetch does not bring any more.
    stager().reclaim(1);
    origin.allowAll();
    assertRight(joined.await());
    assertThat(await(2, s -> (s.ready() | s.ended()) == 0b111).ready() & 0b001).isEqualTo(1);
  }

  @Test
  void stagingThatFindsNoRoomFailsAndSaysSo() throws Exception {
    Disk disk = start(BlockOptions.DEFAULT, 4);
    stager().stage(lease(1, 0, 3, 0));
    await(1, s -> s.ready() == 0b111);
    stager().stage(lease(2, 10, 3, 0));
    LeaseState state = await(2, s -> (s.ready() | s.ended()) == 0b111);
    assertThat(state.ready()).isEqualTo(0b001);
    assertThat(state.failed()).isEqualTo(0b110);
    assertThat(troubles).anyMatch(t -> t.startsWith("tier-full tier 'ssd' is full"));
    // Demand is served without being kept. A guest has its bytes before the fetch is over, and one
    // that comes in between gets them without an origin.
    assertRight(read(disk, 20, 2).await());
    awaitServedUnkept(2);
    assertRight(read(disk, 20, 2).await());
    assertThat(disk.waits()).isEqualTo(2);
  }

  @Test
  void aFullDiskServesFromTheOriginAndRecovers() throws Exception {
    Disk disk = start(BlockOptions.DEFAULT, EXTENTS);
    storage.setFull(true);
    assertRight(read(disk, 0, 1).await());
    assertRight(read(disk, 0, 1).await());
    stager().stage(lease(1, 50, 1, 0));
    assertThat(await(1, s -> s.ended() == 1).failed()).isEqualTo(1);
    assertThat(troubles)
        .anyMatch(t -> t.startsWith("tier-write") && t.contains("No space left on device"));
    storage.setFull(false);
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!disk.space().resident().get(0) && System.nanoTime() < deadline) {
      assertRight(read(disk, 0, 1).await());
    }
    assertThat(disk.space().resident().get(0)).as("kept again").isTrue();
  }

  @Test
  void aCorruptExtentIsFetchedAgainAndTheRightBytesAreServed() throws Exception {
    Disk disk = start(BlockOptions.DEFAULT, EXTENTS);
    stager().stage(lease(1, 6, 2, 0));
    await(1, s -> s.ready() == 0b11);
    storage.flip("t/disk.data", 6L * EXTENT + 9000);
    ByteBuffer into = ByteBuffer.allocateDirect(4096);
    assertThat(disk.readNow(6 * EXTENT, 4096, into, reader))
        .as("a block that is whole beside one that is not")
        .isTrue();
    assertThat(disk.readNow(6 * EXTENT + 8192, 4096, into.clear(), reader)).isFalse();
    assertRight(read(disk, 6, 1).await());
    assertThat(troubles).singleElement().asString().startsWith("tier-corrupt extent 6 of memory:");
    assertThat(origin.reads()).hasSize(2);
  }

  @Test
  void aCorruptExtentThatNobodyHasUsedEndsAsFailed() throws Exception {
    Disk disk = start(BlockOptions.DEFAULT, EXTENTS);
    stager().stage(lease(1, 6, 1, 0));
    await(1, s -> s.ready() == 1);
    storage.flip("t/disk.data", 6L * EXTENT);
    assertRight(read(disk, 6, 1).await());
    assertThat(await(1, s -> s.ended() == 1).failed()).isEqualTo(1);
  }

  @Test
  void leasesOfADetachedVmAreCalledOffAndWhatIsReadyStaysUntilReclaimed() throws Exception {
    Disk disk = start(SMALL, EXTENTS);
    stager().stage(lease(1, 0, 1, 0));
    await(1, s -> s.ready() == 1);
    origin.allow(0);
    stager().stage(lease(2, 100, 3, 0));
    origin.awaitReads(2);
    stager().detach(disk.space(), VM);
    assertThat(await(2, s -> s.ended() == 0b111).cancelled()).isEqualTo(0b111);
    assertThat(disk.space().resident().get(0)).isTrue();
    stager().reclaim(1);
    assertThat(await(1, s -> s.ended() == 1).unused()).isEqualTo(1);
    assertThat(disk.space().resident().get(0)).isFalse();
  }

  @Test
  void leasesOutsideTheImageOrOfAnUnknownSpaceFail() throws Exception {
    start(BlockOptions.DEFAULT, EXTENTS);
    stager().stage(lease(1, EXTENTS - 1, 3, 0));
    assertThat(await(1, s -> (s.ready() | s.ended()) == 0b111).failed()).isEqualTo(0b110);
    stager().stage(new Lease(2, VM, new Range(99, 0, 2), 0, 1, 0, 0, Long.MAX_VALUE));
    assertThat(await(2, _ -> true).failed()).isEqualTo(0b11);
  }

  @Test
  void aNewVersionIsReadByNewVmsWhileOldOnesKeepTheirs() throws Exception {
    Disk old = start(BlockOptions.DEFAULT, EXTENTS);
    assertRight(read(old, 0, 1).await());
    byte[] newer = origin.put("disk", EXTENTS * EXTENT, 12);
    BlockSpace space = stager().attach(SPACE, "t", "disk");
    assertThat(space.resident().isEmpty()).isTrue();
    var next = new Disk(VM + 1, "vm2", space, stager(), new AccessRing(64, doorbell), clock);
    assertThat(read(next, 0, 2).await().bytes()).isEqualTo(Arrays.copyOf(newer, 2 * EXTENT));
    assertRight(read(old, 0, 2).await());
    assertThat(old.waits()).as("the old version's extent is still here").isEqualTo(2);
    stager().detach(old.space(), VM);
    assertThat(stager().attach(SPACE, "t", "disk")).isSameAs(space);
  }
}
