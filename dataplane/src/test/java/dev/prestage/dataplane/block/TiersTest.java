package dev.prestage.dataplane.block;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.fault.Faults;
import dev.prestage.engine.resource.Range;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What goes to which tier, and when it moves.
final class TiersTest {
  private static final int EXTENT = TierFile.EXTENT_BYTES;
  private static final int EXTENTS = 128;
  private static final int FAST = 16;
  private static final int SLOW = 64;
  private static final long SECOND = 1_000_000_000L;
  private static final BlockOptions OPTIONS =
      new BlockOptions(4, 4, Duration.ofSeconds(20), Duration.ofSeconds(10));

  private TestOrigin origin = new TestOrigin();
  private byte[] image = new byte[0];
  private final List<CrashStorage> storages = List.of(new CrashStorage(), new CrashStorage());
  private final AtomicLong now = new AtomicLong(1_000_000 * SECOND);
  private final List<String> troubles = new ArrayList<>();
  private final Doorbell doorbell = new Doorbell();
  private final VerifiedReader reader = new VerifiedReader();
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(Fetch.MAX_BYTES);
  private final List<Integer> gone = new ArrayList<>();
  private List<Tier> tiers = List.of();
  private BlockStager stager;
  private BlockSpace space;
  private Disk disk;
  private long leases;

  private static final class Read extends PendingRead {
    private boolean ended;

    Read(long offset, int length, long nanos) {
      super(offset, length, nanos);
    }

    @Override
    protected void finished() {
      ended = true;
    }
  }

  TiersTest() throws IOException {
    stager = open();
    space = stager.attach(9, "t", "disk");
    disk = new Disk(1, "vm", space, stager, new AccessRing(64, doorbell), now::get);
  }

  @BeforeEach
  void beginWithEmptyTiers() {
    assertThat(space.resident().cardinality()).isZero();
  }

  @AfterEach
  void close() throws IOException {
    stager.close();
  }

  private BlockStager open() throws IOException {
    // A stager closes its origins.
    origin = new TestOrigin();
    image = origin.put("disk", EXTENTS * EXTENT - 777, 5);
    int[] capacities = {FAST, SLOW};
    List<Tier> all = new ArrayList<>();
    for (int i = 0; i < capacities.length; i++) {
      all.add(
          new Tier(
              "tier" + i,
              (long) capacities[i] * EXTENT,
              storages.get(i),
              now::get,
              (kind, text) -> troubles.add(kind + " " + text)));
    }
    tiers = all;
    return new BlockStager(
        List.of(origin),
        new Tiers(all, Moves.DEFAULT, (kind, text) -> troubles.add(kind + " " + text)),
        OPTIONS,
        now::get,
        (kind, text) -> troubles.add(kind + " " + text),
        doorbell,
        false);
  }

  /// The host goes down, with or without its power, and comes up again.
  private void restart() throws IOException {
    stager = open();
    space = stager.attach(9, "t", "disk");
    disk = new Disk(1, "vm", space, stager, new AccessRing(64, doorbell), now::get);
  }

  private void read(int extent) {
    int length = space.bytesOf(extent);
    ByteBuffer into = ByteBuffer.allocateDirect(length);
    if (disk.readNow((long) extent * EXTENT, length, into, reader)) {
      into.flip();
    } else {
      var read = new Read((long) extent * EXTENT, length, now.get());
      disk.readLater(read, reader);
      while (!read.ended) {
        assertThat(stager.step("test", buffer)).isTrue();
      }
      assertThat(read.failure()).isNull();
      into = ByteBuffer.wrap(read.bytes(), 0, length);
    }
    assertThat(into).isEqualTo(ByteBuffer.wrap(image, extent * EXTENT, length).slice());
  }

  private void readAll(int first, int count) {
    for (int extent = first; extent < first + count; extent++) {
      read(extent);
    }
  }

  private long stage(int first, int count, float probability) {
    stager.stage(
        new Lease(
            ++leases, 1, new Range(9, first, count), 0, probability, 0, now.get(), Long.MAX_VALUE));
    while (stager.step("test", buffer)) {
      // until nothing is left to fetch
    }
    return leases;
  }

  /// In which tier an extent lies, or -1; never in two.
  private int placeOf(int extent) {
    int place = -1;
    for (int i = 0; i < space.shelves.length; i++) {
      if (space.shelves[i].file().resident.get(extent)) {
        assertThat(place).as("extent %d lies in one tier", extent).isEqualTo(-1);
        place = i;
      }
    }
    return place;
  }

  private int held(int tier) {
    return space.shelves[tier].file().resident.toBitSet().cardinality();
  }

  static void assertPassagesAddUp(Tier tier) {
    long held = 0;
    for (Passage passage : Passage.values()) {
      held += passage.sign() * tier.passedBytes(passage);
    }
    assertThat(held).as("what came less what left %s", tier.name()).isEqualTo(tier.usedBytes());
  }

  private void assertAccount() {
    for (Shelf shelf : space.shelves) {
      assertThat(shelf.tier().usedBytes()).isEqualTo(shelf.file().residentBytes());
      assertThat(shelf.tier().usedBytes()).isLessThanOrEqualTo(shelf.tier().capacityBytes());
      assertPassagesAddUp(shelf.tier());
    }
    for (int extent = 0; extent < EXTENTS; extent++) {
      placeOf(extent);
    }
  }

  @Test
  void whatIsForecastFillsTheFastestTierAndWhatIsMerelyDemandedLeavesItAQuarter() {
    readAll(0, 14);
    assertThat(held(0)).isEqualTo(FAST * 3 / 4);
    assertThat(placeOf(13)).isEqualTo(1);
    stage(20, 6, 0.9f);
    assertThat(held(0)).isEqualTo(FAST);
    assertThat(placeOf(20)).isZero();
    assertThat(placeOf(25)).isEqualTo(1);
    assertAccount();
  }

  @Test
  void aForecastWithLongOddsCountsAsMereDemand() {
    stage(0, 14, 0.3f);
    assertThat(held(0)).isEqualTo(FAST * 3 / 4);
    assertThat(held(1)).isEqualTo(2);
  }

  @Test
  void aFasterTierThatFillsUpHandsTheLeastTouchedDownAndNothingIsLost() {
    readAll(0, 12);
    now.addAndGet(2 * SECOND);
    readAll(0, 6);
    stage(20, 4, 0.9f);
    stager.settleTiers();
    assertThat(held(0)).isEqualTo(FAST * 7 / 8);
    assertThat(held(1)).isEqualTo(2);
    for (int extent = 0; extent < 6; extent++) {
      assertThat(placeOf(extent)).as("what was touched twice stays").isZero();
    }
    for (int extent = 20; extent < 24; extent++) {
      assertThat(placeOf(extent)).as("what is staged and unused stays").isZero();
    }
    stager.takeEvicted((_, first, _) -> gone.add((int) first));
    assertThat(gone).as("nothing left the host").isEmpty();
    assertThat(tiers.get(0).demotedBytes()).isEqualTo(2L * EXTENT);
    assertThat(tiers.get(0).passedBytes(Passage.EVICTED)).isZero();
    readAll(0, 12);
    assertThat(origin.reads()).hasSize(12 + 1);
    assertAccount();
  }

  @Test
  void whatIsTouchedTwiceInASlowerTierIsPromotedAndAScanIsNot() {
    readAll(0, 24);
    assertThat(placeOf(20)).isEqualTo(1);
    stager.settleTiers();
    assertThat(placeOf(20)).as("read once").isEqualTo(1);
    read(20);
    stager.settleTiers();
    assertThat(placeOf(20)).as("read again at once, as by a scan").isEqualTo(1);
    now.addAndGet(2 * SECOND);
    read(20);
    stager.settleTiers();
    assertThat(placeOf(20)).isZero();
    assertThat(tiers.get(0).promotedBytes()).isEqualTo(EXTENT);
    read(20);
    assertAccount();
  }

  @Test
  void aTierThatIsFullOfWhatIsAsOftenTouchedPromotesNothing() {
    readAll(0, 40);
    for (int round = 0; round < 3; round++) {
      now.addAndGet(2 * SECOND);
      readAll(0, 40);
      stager.settleTiers();
    }
    assertThat(held(0)).isEqualTo(FAST * 7 / 8);
    long moved = tiers.get(0).promotedBytes() + tiers.get(0).demotedBytes();
    for (int round = 0; round < 20; round++) {
      now.addAndGet(5 * SECOND);
      readAll(0, 40);
      stager.settleTiers();
    }
    assertThat(tiers.get(0).promotedBytes() + tiers.get(0).demotedBytes()).isEqualTo(moved);
    // One is touched clearly more often than all others, and takes the place of one of them.
    int hot = 39;
    assertThat(placeOf(hot)).isEqualTo(1);
    for (int round = 0; round < 4; round++) {
      now.addAndGet(2 * SECOND);
      read(hot);
      stager.settleTiers();
    }
    assertThat(placeOf(hot)).isZero();
    assertThat(held(0)).isEqualTo(FAST * 7 / 8);
    assertAccount();
  }

  @Test
  void anExtentThatMovedStaysForAWhile() {
    readAll(0, 13);
    now.addAndGet(2 * SECOND);
    read(12);
    stager.settleTiers();
    assertThat(placeOf(12)).isZero();
    // It is the coldest now, and still rests.
    now.addAndGet(2 * SECOND);
    for (int round = 0; round < 2; round++) {
      readAll(0, 12);
      now.addAndGet(2 * SECOND);
    }
    stage(30, 3, 0.9f);
    stager.settleTiers();
    assertThat(placeOf(12)).isZero();
    assertThat(held(0)).isEqualTo(FAST * 7 / 8);
  }

  @Test
  void theSlowestTierEvictsAndTheLossIsTold() {
    readAll(0, EXTENTS - 8);
    stager.settleTiers();
    assertThat(held(0)).isEqualTo(FAST * 3 / 4);
    assertThat(held(1)).isEqualTo(SLOW);
    stager.takeEvicted((_, first, extents) -> gone.add(extents));
    assertThat(gone.stream().mapToInt(Integer::intValue).sum())
        .isEqualTo(EXTENTS - 8 - SLOW - FAST * 3 / 4);
    assertThat(tiers.get(1).passedBytes(Passage.EVICTED))
        .isEqualTo((long) (EXTENTS - 8 - SLOW - FAST * 3 / 4) * EXTENT);
    assertAccount();
  }

  @Test
  void aReadAcrossTiersIsServedFromAllOfThem() {
    readAll(0, 16);
    assertThat(placeOf(11)).isZero();
    assertThat(placeOf(12)).isEqualTo(1);
    int offset = 10 * EXTENT + 1000;
    ByteBuffer into = ByteBuffer.allocateDirect(4 * EXTENT);
    assertThat(disk.readNow(offset, into.capacity(), into, reader)).isTrue();
    assertThat(into.flip()).isEqualTo(ByteBuffer.wrap(image, offset, 4 * EXTENT).slice());
    assertThat(tiers.get(0).hits()).isPositive();
    assertThat(tiers.get(1).hits()).isPositive();
  }

  @Test
  void aTierThatIsFullOnDiskIsPassedOverAndComesBack() {
    storages.get(0).setFull(true);
    readAll(0, 4);
    assertThat(held(1)).as("the next tier took them, the first one, too").isEqualTo(4);
    assertThat(troubles)
        .singleElement()
        .asString()
        .startsWith("tier-write tier 'tier0' cannot keep an extent")
        .contains("No space left on device");
    storages.get(0).setFull(false);
    now.addAndGet(2 * SECOND);
    read(8);
    assertThat(placeOf(8)).isZero();
    assertAccount();
  }

  @Test
  void whileTheSlowerTierTakesNothingTheFasterOneEvictsAsIfAlone() {
    storages.get(1).setFull(true);
    readAll(0, 40);
    stager.settleTiers();
    assertThat(held(1)).isZero();
    assertThat(held(0)).isBetween(1, FAST);
    readAll(0, 40);
    storages.get(1).setFull(false);
    now.addAndGet(120 * SECOND);
    readAll(40, 20);
    assertThat(held(1)).isPositive();
    assertAccount();
  }

  @Test
  void aMoveToATierThatRefusesItLeavesTheExtentWhereItIs() {
    readAll(0, 13);
    now.addAndGet(2 * SECOND);
    read(12);
    storages.get(0).setFull(true);
    stager.settleTiers();
    assertThat(placeOf(12)).isEqualTo(1);
    read(12);
    assertAccount();
  }

  @Test
  void anExtentThatRotsIsNotMovedButFetchedAgain() {
    readAll(0, 13);
    now.addAndGet(2 * SECOND);
    read(12);
    storages.get(1).flip("t/disk.data", 12L * EXTENT + 5);
    stager.settleTiers();
    assertThat(placeOf(12)).isEqualTo(-1);
    read(12);
    assertAccount();
  }

  @Test
  void twoPlacesAfterAKillBecomeOne() throws IOException {
    readAll(0, 13);
    // As a process that is killed between writing the new place and clearing the old one leaves it.
    Shelf fast = space.shelves[0];
    fast.file().write(12, 1, ByteBuffer.wrap(image, 12 * EXTENT, EXTENT));
    restart();
    assertThat(placeOf(12)).isZero();
    assertThat(held(1)).isZero();
    readAll(0, 13);
    assertAccount();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  void noWrongByteAndNoSecondPlaceWhateverACrashLeavesBehind(long seed) throws IOException {
    var random = new Random(seed);
    long moved = 0;
    for (int life = 0; life < 12; life++) {
      for (int step = 0; step < 60; step++) {
        now.addAndGet(random.nextLong(2 * SECOND));
        switch (random.nextInt(8)) {
          case 0 -> stage(random.nextInt(EXTENTS - 4), 4, random.nextFloat());
          case 1 -> stager.reclaim(1 + random.nextLong(leases + 1));
          case 2 -> stager.settleTiers();
          default -> read((int) Math.min(EXTENTS - 1, Math.abs(random.nextGaussian()) * 30));
        }
      }
      assertAccount();
      moved += tiers.get(0).promotedBytes() + tiers.get(0).demotedBytes();
      if (random.nextInt(3) == 0) {
        stager.close();
      }
      storages.forEach(storage -> storage.crash(random));
      restart();
      assertAccount();
    }
    assertThat(moved).as("seed %d", seed).isPositive();
  }

  @Test
  void purgingAnImageEmptiesAllTiers() throws IOException {
    readAll(0, 20);
    assertThat(new Tiers(tiers, Moves.DEFAULT, (_, _) -> {}).purge("t", "disk"))
        .isEqualTo(20L * EXTENT);
    assertThat(space.resident().cardinality()).isZero();
    assertAccount();
  }

  @Test
  void nothingMovesWhileAnImageIsCompared() {
    readAll(0, 12);
    stage(20, 4, 0.9f);
    space.shelves[1].tier().keepStill(space.shelves[1].file(), true);
    stager.settleTiers();
    assertThat(held(0)).isEqualTo(FAST);
    assertThat(held(1)).isZero();
    assertAccount();
    now.addAndGet(Moves.DEFAULT.rest().toNanos());
    space.shelves[1].tier().keepStill(space.shelves[1].file(), false);
    stager.settleTiers();
    assertThat(held(0)).isEqualTo(FAST * 7 / 8);
    assertAccount();
  }

  @Test
  void otherBytesThatOneTierShowsAreExpectedInAllOfThem() throws IOException {
    readAll(0, 12);
    stage(20, 4, 0.9f);
    stager.settleTiers();
    assertThat(held(1)).isPositive();
    int inTheFastest = 20;
    assertThat(placeOf(inTheFastest)).isZero();
    stager.close();
    stager = open();
    origin.changeUnseen("disk", inTheFastest * EXTENT);
    space = stager.attach(9, "t", "disk");
    assertThat(held(0) + held(1)).isZero();
    assertAccount();
  }

  @Test
  void anImageThatNobodyReadsMovesToo() throws IOException {
    readAll(0, 12);
    stager.close();
    stager = open();
    origin.put("other", EXTENTS * EXTENT, 6);
    BlockSpace other = stager.attach(10, "t", "other");
    stager.stage(new Lease(++leases, 2, new Range(10, 0, 4), 0, 1, 0, 0, Long.MAX_VALUE));
    while (stager.step("test", buffer)) {
      // until nothing is left to fetch
    }
    assertThat(other.shelves[0].file().resident.toBitSet().cardinality()).isEqualTo(4);
    stager.settleTiers();
    assertThat(tiers.get(0).usedBytes()).isEqualTo((long) FAST * 7 / 8 * EXTENT);
    assertThat(tiers.get(1).usedBytes()).isEqualTo(2L * EXTENT);
    space = stager.attach(9, "t", "disk");
    disk = new Disk(1, "vm", space, stager, new AccessRing(64, doorbell), now::get);
    int before = origin.reads().size();
    readAll(0, 12);
    assertThat(origin.reads()).hasSize(before);
  }

  @Test
  void aSlowTierTakesItsTimeAndGivesTheRightBytes() throws IOException {
    var slow = FaultyStorage.of(new CrashStorage(), Faults.link(Duration.ofMillis(5), 100_000_000));
    try (Storage.File file = slow.open("x" + TierFile.DATA)) {
      long began = System.nanoTime();
      file.write(ByteBuffer.wrap(image, 0, EXTENT), 0);
      ByteBuffer into = ByteBuffer.allocate(EXTENT);
      file.read(into, 0);
      assertThat(System.nanoTime() - began).isGreaterThanOrEqualTo(10_000_000);
      assertThat(into.flip()).isEqualTo(ByteBuffer.wrap(image, 0, EXTENT));
    }
  }
}
