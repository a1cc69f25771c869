package dev.prestage.dataplane.block;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.dataplane.Tools;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class TierTest {
  private static final int EXTENT = TierFile.EXTENT_BYTES;
  private static final int EXTENTS = 16;
  private static final Image.Identity IDENTITY = new Image.Identity(EXTENTS * EXTENT, 1, 1, 1);

  private final CrashStorage storage = new CrashStorage();
  private final AtomicLong now = new AtomicLong();
  private final List<String> troubles = new ArrayList<>();
  private final byte[] content = new byte[EXTENT];

  private Tier tier(Storage on, int capacityExtents) throws IOException {
    return new Tier(
        "ssd",
        (long) capacityExtents * EXTENT,
        on,
        now::get,
        (kind, text) -> troubles.add(kind + " " + text));
  }

  private Tier keeping(int capacityExtents, String... images) throws IOException {
    return new Tier(
        "ssd", (long) capacityExtents * EXTENT, Set.of(images), storage, now::get, (_, _) -> {});
  }

  private boolean keep(Tier tier, TierFile file, int extent) throws IOException {
    if (!tier.reserve(EXTENT)) {
      return false;
    }
    new SplittableRandom(extent).nextBytes(content);
    file.write(extent, 1, ByteBuffer.wrap(content));
    return file.resident.set(extent);
  }

  @Test
  void whatWasNotReadLatelyMakesRoomFirst() throws Exception {
    Tier tier = tier(storage, 3);
    TierFile file = tier.open("t", "disk", IDENTITY).file();
    List<Integer> dropped = new ArrayList<>();
    tier.onDrop(file, dropped::add);
    for (int extent = 0; extent < 3; extent++) {
      assertThat(keep(tier, file, extent)).isTrue();
    }
    file.referenced.set(0);
    file.referenced.set(2);
    assertThat(keep(tier, file, 3)).isTrue();
    assertThat(dropped).containsExactly(1);
    assertThat(tier.usedBytes()).isEqualTo(3 * EXTENT);
  }

  @Test
  void whatIsHereOfAnImageThatGoesLastMakesRoomLast() throws Exception {
    Tier tier = keeping(4, "base.raw");
    TierFile complete = tier.open("t", "complete", IDENTITY).file();
    complete.isComplete = true;
    TierFile last = tier.open("t", "base.raw", IDENTITY).file();
    TierFile other = tier.open("t", "web.raw", IDENTITY).file();
    assertThat(keep(tier, last, 0)).isTrue();
    assertThat(keep(tier, last, 1)).isTrue();
    assertThat(keep(tier, complete, 0)).isTrue();
    assertThat(keep(tier, other, 0)).isTrue();
    other.referenced.set(0);
    assertThat(keep(tier, other, 1)).isTrue();
    assertThat(other.resident.get(0)).as("what is plain, although it was read").isFalse();
    other.pinned.set(1);
    assertThat(keep(tier, other, 2)).isTrue();
    assertThat(complete.resident.get(0)).as("what is complete, before what goes last").isFalse();
    other.pinned.set(2);
    assertThat(keep(tier, other, 3)).as("when nothing else can make room").isTrue();
    assertThat(last.residentBytes()).isEqualTo(EXTENT);
  }

  @Test
  void anImageGoesLastForAllTenantsAndVersionsAndOverARestart() throws Exception {
    Tier first = tier(storage, 4);
    TierFile other = first.open("t", "disk", IDENTITY).file();
    TierFile old = first.open("u", "base.raw", IDENTITY).file();
    TierFile next =
        first.open("u", "base.raw", new Image.Identity(EXTENTS * EXTENT, 2, 2, 2)).file();
    assertThat(next.name()).isNotEqualTo(old.name());
    keep(first, old, 0);
    keep(first, next, 0);
    keep(first, other, 0);
    keep(first, other, 1);
    first.close();
    Tier second = keeping(2, "base.raw");
    assertThat(second.usedBytes()).isEqualTo(2 * EXTENT);
    TierFile disk = second.open("t", "disk", IDENTITY).file();
    assertThat(disk.residentBytes()).isZero();
  }

  @Test
  void whatIsStagedAndUnusedNeverMakesRoom() throws Exception {
    Tier tier = tier(storage, 2);
    TierFile file = tier.open("t", "disk", IDENTITY).file();
    for (int extent = 0; extent < 2; extent++) {
      file.pinned.set(extent);
      assertThat(keep(tier, file, extent)).isTrue();
    }
    assertThat(keep(tier, file, 2)).isFalse();
    file.pinned.clear(1);
    assertThat(keep(tier, file, 2)).isTrue();
    assertThat(file.resident.get(0)).isTrue();
    assertThat(file.resident.get(1)).isFalse();
  }

  @Test
  void evictionGivesDiskSpaceBackToTheHost(@TempDir Path directory) throws Exception {
    try (Tier tier = tier(new FileStorage(directory), EXTENTS)) {
      TierFile file = tier.open("t", "disk", IDENTITY).file();
      for (int extent = 0; extent < EXTENTS; extent++) {
        assertThat(keep(tier, file, extent)).isTrue();
      }
      Path data = directory.resolve("t/disk.data");
      assertThat(allocatedBytes(data)).isGreaterThanOrEqualTo(EXTENTS * EXTENT);
      for (int extent = 0; extent < EXTENTS; extent++) {
        assertThat(tier.drop(file, extent)).isTrue();
      }
      assertThat(allocatedBytes(data)).isZero();
      assertThat(Files.size(data)).isEqualTo(EXTENTS * EXTENT);
      assertThat(tier.usedBytes()).isZero();
    }
  }

  private static long allocatedBytes(Path file) throws Exception {
    return 512 * Long.parseLong(Tools.succeed("stat", "--format=%b", file.toString()).strip());
  }

  @Test
  void extentsOfImagesThatNobodyAsksForStillCountAndMakeRoom() throws Exception {
    Tier first = tier(storage, 4);
    TierFile old = first.open("t", "old", IDENTITY).file();
    for (int extent = 0; extent < 4; extent++) {
      keep(first, old, extent);
    }
    first.close();
    Tier second = tier(storage, 4);
    assertThat(second.usedBytes()).isEqualTo(4 * EXTENT);
    assertThat(keep(second, second.open("t", "new", IDENTITY).file(), 0)).isTrue();
    assertThat(second.usedBytes()).isEqualTo(4 * EXTENT);
  }

  @Test
  void aSmallerCapacityIsMetAtOnce() throws Exception {
    Tier first = tier(storage, 4);
    TierFile file = first.open("t", "disk", IDENTITY).file();
    for (int extent = 0; extent < 4; extent++) {
      keep(first, file, extent);
    }
    first.close();
    assertThat(tier(storage, 2).usedBytes()).isEqualTo(2 * EXTENT);
  }

  @Test
  void aMapOfANewerVersionIsRefusedWithBothNumbersAndLeftAlone() throws Exception {
    Tier first = tier(storage, 4);
    TierFile file = first.open("t", "disk", IDENTITY).file();
    keep(first, file, 3);
    first.close();
    try (Storage.File map = storage.open("t/disk.map")) {
      map.write(ByteBuffer.allocate(4).putInt(3).flip(), 8);
      map.force();
    }
    byte[] before = storage.bytes("t/disk.map");
    Tier second = tier(storage, 4);
    assertThatThrownBy(() -> second.open("t", "disk", IDENTITY))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("memory:t/disk.map has format 3")
        .hasMessageContaining("reads up to 2");
    assertThat(storage.bytes("t/disk.map")).isEqualTo(before);
    assertThat(troubles).singleElement().asString().startsWith("tier-file memory:t/disk.map");
  }

  @Test
  void namesOfTenantsAndImagesCannotLeaveTheTier(@TempDir Path directory) throws Exception {
    try (Tier tier = tier(new FileStorage(directory.resolve("tier")), 1)) {
      TierFile file = tier.open("../..", "../../etc/x y", IDENTITY).file();
      assertThat(file.name()).isEqualTo("%2e.%2f../%2e.%2f..%2fetc%2fx%20y");
      assertThat(directory.resolve("tier/%2e.%2f../%2e.%2f..%2fetc%2fx%20y.map")).exists();
    }
  }

  @Test
  void aDeviceThatRefusesWritesIsTriedAgainAfterAPauseThatGrows() throws Exception {
    Tier tier = tier(storage, 4);
    TierFile file = tier.open("t", "disk", IDENTITY).file();
    tier.refused(file, new IOException("No space left on device"));
    assertThat(tier.accepts()).isFalse();
    now.addAndGet(1_000_000_000L);
    assertThat(tier.accepts()).isTrue();
    tier.refused(file, new IOException("No space left on device"));
    now.addAndGet(1_000_000_000L);
    assertThat(tier.accepts()).isFalse();
    now.addAndGet(1_000_000_000L);
    assertThat(tier.accepts()).isTrue();
    tier.wrote();
    assertThat(troubles)
        .hasSize(2)
        .allMatch(t -> t.startsWith("tier-write") && t.contains("No space left on device"));
  }

  @Test
  void writesThatFailTogetherPauseOnce() throws Exception {
    Tier tier = tier(storage, 4);
    TierFile file = tier.open("t", "disk", IDENTITY).file();
    for (int i = 0; i < 8; i++) {
      tier.refused(file, new IOException("No space left on device"));
    }
    now.addAndGet(1_000_000_000L);
    assertThat(tier.accepts()).isTrue();
    assertThat(troubles).hasSize(1);
  }
}
