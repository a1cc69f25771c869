package dev.prestage.dataplane.block;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What makes room in a tier of 100 extents, of which ten are on probation.
class EvictionTest {
  private static final int EXTENT = TierFile.EXTENT_BYTES;
  private static final int CAPACITY = 100;
  private static final Image.Identity IDENTITY = new Image.Identity(10_000L * EXTENT, 1, 1, 1);

  private Tier tier;
  private TierFile file;

  @BeforeEach
  void open() throws IOException {
    tier =
        new Tier(
            "ssd",
            (long) CAPACITY * EXTENT,
            Set.of("last"),
            new CrashStorage(),
            () -> 0,
            (_, _) -> {});
    file = tier.open("t", "disk", IDENTITY).file();
  }

  /// Reads an extent; tells whether it was here. What was not comes from an origin.
  private boolean read(TierFile of, int extent) {
    boolean isHere = of.resident.get(extent);
    if (!isHere) {
      assertThat(tier.reserve(EXTENT)).isTrue();
      of.resident.set(extent);
      tier.landed(of, extent, Passage.DEMANDED);
    }
    of.referenced.set(extent);
    return isHere;
  }

  private void readAll(TierFile of, int from, int to) {
    for (int extent = from; extent < to; extent++) {
      read(of, extent);
    }
  }

  private static long here(TierFile of, int from, int to) {
    return IntStream.range(from, to).filter(of.resident::get).count();
  }

  /// Fills the tier, and has the first extents read again and again.
  private void warm(TierFile of, int hot) {
    for (int round = 0; round < 3; round++) {
      readAll(of, 0, hot);
      readAll(of, 1000 + 100 * round, 1000 + 100 * round + CAPACITY - hot);
    }
    readAll(of, 0, hot);
  }

  @Test
  void aScanPushesOutNothingThatIsReadAgainAndAgain() {
    warm(file, 60);
    readAll(file, 5000, 6000);
    assertThat(here(file, 0, 60)).isEqualTo(60);
    assertThat(here(file, 5990, 6000)).as("the end of the scan, on probation").isEqualTo(10);
    assertThat(tier.usedBytes()).isEqualTo(CAPACITY * EXTENT);
  }

  /// In no order, so that the hand cannot happen to follow the scan.
  private void scanScattered(int extents) {
    for (int i = 0; i < extents; i++) {
      read(file, 1000 + (int) (i * 2_654_435_761L % 8999));
    }
  }

  @Test
  void anImageWithAShortEndChangesNothing() throws IOException {
    TierFile odd = tier.open("t", "odd", new Image.Identity(10L * EXTENT + 4096, 1, 1, 1)).file();
    assertThat(tier.reserve(odd.bytesOf(10))).isTrue();
    odd.resident.set(10);
    warm(file, 60);
    scanScattered(1000);
    assertThat(here(file, 0, 60)).isEqualTo(60);
  }

  @Test
  void besideImagesThatGoLastAScanPushesOutNoMore() throws IOException {
    TierFile last = tier.open("t", "last", IDENTITY).file();
    readAll(last, 0, 60);
    for (int round = 0; round < 4; round++) {
      readAll(file, 0, 20);
      readAll(file, 1000 + 20 * round, 1020 + 20 * round);
    }
    readAll(file, 0, 20);
    scanScattered(1000);
    assertThat(here(file, 0, 20)).isEqualTo(20);
    assertThat(here(last, 0, 60)).isEqualTo(60);
  }

  @Test
  void aCompleteImageIsSparedForOneThatIsNoMore() throws IOException {
    TierFile complete = tier.open("t", "complete", IDENTITY).file();
    complete.isComplete = true;
    readAll(complete, 0, 90);
    file.isComplete = true;
    readAll(file, 0, 10);
    file.isComplete = false;
    TierFile other = tier.open("t", "other", IDENTITY).file();
    readAll(other, 0, 10);
    assertThat(here(complete, 0, 90)).isEqualTo(90);
  }

  /// One fetch brings up to 16 extents, and takes room for all before the first has come.
  @Test
  void aScanInLargeFetchesPushesOutNoMore() {
    warm(file, 60);
    for (int first = 5000; first < 6000; first += 16) {
      for (int i = 0; i < 16; i++) {
        assertThat(tier.reserve(EXTENT)).isTrue();
      }
      for (int extent = first; extent < first + 16; extent++) {
        file.resident.set(extent);
        tier.landed(file, extent, Passage.DEMANDED);
        file.referenced.set(extent);
      }
      readAll(file, 0, 10);
    }
    assertThat(here(file, 0, 60)).isGreaterThan(50);
    assertThat(tier.usedBytes()).isEqualTo(CAPACITY * EXTENT);
  }

  @Test
  void readsOfWhatJustCameDoNotSayThatItComesBack() {
    warm(file, 60);
    for (int extent = 5000; extent < 6000; extent++) {
      for (int request = 0; request < 16; request++) {
        read(file, extent);
      }
    }
    assertThat(here(file, 0, 60)).isEqualTo(60);
    assertThat(here(file, 5000, 5990)).isZero();
  }

  @Test
  void whatIsReadAgainOnProbationStays() {
    warm(file, 60);
    read(file, 5000);
    readAll(file, 6000, 6007); // now it is in the older half
    assertThat(read(file, 5000)).isTrue();
    readAll(file, 6007, 6050);
    assertThat(file.resident.get(5000)).isTrue();
    assertThat(file.resident.get(6000)).isFalse();
  }

  @Test
  void whatComesBackSoonAfterItWentStays() {
    warm(file, 60);
    readAll(file, 5000, 5015);
    assertThat(read(file, 5000)).isFalse();
    readAll(file, 6000, 6015);
    assertThat(file.resident.get(5000)).isTrue();
    // Long forgotten, it begins anew.
    readAll(file, 7000, 7300);
    assertThat(read(file, 6000)).isFalse();
    readAll(file, 8000, 8015);
    assertThat(file.resident.get(6000)).isFalse();
  }

  @Test
  void whatIsHotStaysAlsoAmongImagesThatGoLast() throws IOException {
    TierFile last = tier.open("t", "last", IDENTITY).file();
    warm(last, 60);
    long hits = 0;
    for (int extent = 5000; extent < 5500; extent++) {
      read(last, extent);
      hits += read(last, extent % 60) ? 1 : 0;
    }
    assertThat(hits).isGreaterThan(480);
  }

  @Test
  void whatIsStagedLeavesItsProbationForTheRest() {
    readAll(file, 0, CAPACITY - 10);
    for (int extent = 5000; extent < 5010; extent++) {
      file.pinned.set(extent);
      read(file, extent);
    }
    readAll(file, 6000, 6100);
    assertThat(here(file, 5000, 5010)).isEqualTo(10);
    for (int extent = 5000; extent < 5010; extent++) {
      file.pinned.clear(extent);
    }
    warm(file, 90);
    assertThat(here(file, 5000, 5010)).as("what nobody read since").isZero();
  }

  @Test
  void whatAnImageThatIsCompleteNoMoreHasGoesBeforeWhatGoesLast() throws IOException {
    TierFile last = tier.open("t", "last", IDENTITY).file();
    readAll(last, 0, 90);
    file.isComplete = true;
    readAll(file, 0, 10);
    file.isComplete = false;
    TierFile other = tier.open("t", "other", IDENTITY).file();
    readAll(other, 0, 10);
    assertThat(here(last, 0, 90)).isEqualTo(90);
    assertThat(here(other, 0, 10)).isPositive();
  }

  @Test
  void aTierOfFewExtentsServesThem() throws IOException {
    for (int extents = 1; extents < 20; extents++) {
      Tier small =
          new Tier("ssd", (long) extents * EXTENT, new CrashStorage(), () -> 0, (_, _) -> {});
      TierFile disk = small.open("t", "disk", IDENTITY).file();
      for (int i = 0; i < 500; i++) {
        int extent = i * i % 37;
        if (!disk.resident.get(extent)) {
          assertThat(small.reserve(EXTENT)).isTrue();
          disk.resident.set(extent);
          small.landed(disk, extent, Passage.DEMANDED);
        }
        disk.referenced.set(extent);
      }
      assertThat(small.usedBytes()).isEqualTo((long) extents * EXTENT);
      assertThat(disk.resident.cardinality()).isEqualTo(extents);
    }
  }

  @Test
  void aTierThatIsClosedHasNoRoom() throws IOException {
    readAll(file, 0, CAPACITY);
    tier.close();
    assertThat(tier.reserve(EXTENT)).isFalse();
  }

  @Test
  void aFileThatWasGivenUpIsForgotten() throws IOException {
    TierFile other = tier.open("t", "other", IDENTITY).file();
    readAll(other, 0, 50);
    tier.discard(other);
    assertThat(tier.usedBytes()).isZero();
    readAll(file, 0, 300);
    assertThat(tier.usedBytes()).isEqualTo(CAPACITY * EXTENT);
    assertThat(here(file, 0, 300)).isEqualTo(CAPACITY);
  }
}
