package dev.prestage.dataplane.block;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The tier against a storage that loses power at any moment.
final class TierCrashTest {
  private static final int EXTENT = TierFile.EXTENT_BYTES;
  private static final int EXTENTS = 20;
  private static final int IMAGE_BYTES = (EXTENTS - 1) * EXTENT + 5000;
  private static final int CAPACITY_EXTENTS = 9;
  private static final int LIVES = 60;
  private static final int MOST_STEPS = 40;

  private final CrashStorage storage = new CrashStorage();
  private final VerifiedReader reader = new VerifiedReader();
  private Image.Identity identity = new Image.Identity(IMAGE_BYTES, 1, 1, 1);
  private byte[] image = new byte[0];
  private int served;
  private int refused;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
  void noWrongByteIsServedWhateverACrashLeavesBehind(long seed) throws Exception {
    var random = new Random(seed);
    replaceImage(random);
    for (int life = 0; life < LIVES; life++) {
      if (random.nextInt(8) == 0) {
        replaceImage(random);
      }
      var tier = open();
      TierFile file = tier.open("t", "disk", identity).file();
      assertThat(tier.usedBytes()).as("seed %d", seed).isEqualTo(file.residentBytes());
      readEverything(tier, file, seed);
      for (int i = random.nextInt(MOST_STEPS); i > 0; i--) {
        step(tier, file, random, seed);
      }
      if (random.nextInt(4) == 0) {
        tier.close();
      }
      storage.crash(random);
    }
    assertThat(served).as("extents that survived, seed %d", seed).isPositive();
    assertThat(refused).as("extents that did not, seed %d", seed).isPositive();
  }

  private Tier open() throws IOException {
    return new Tier("ram", (long) CAPACITY_EXTENTS * EXTENT, storage, () -> 0, (_, _) -> {});
  }

  private void replaceImage(Random random) {
    identity = new Image.Identity(IMAGE_BYTES, identity.modifiedNanos() + 1, 1, 1);
    image = new byte[IMAGE_BYTES];
    random.nextBytes(image);
    // Guests' images hold many blocks of zeros, which look like holes.
    for (int at = 0; at < IMAGE_BYTES; at += 3 * EXTENT) {
      Arrays.fill(image, at, Math.min(at + EXTENT / 2, IMAGE_BYTES), (byte) 0);
    }
  }

  private void step(Tier tier, TierFile file, Random random, long seed) throws IOException {
    int extent = random.nextInt(EXTENTS);
    switch (random.nextInt(4)) {
      case 0, 1 -> {
        int count = Math.min(1 + random.nextInt(4), EXTENTS - extent);
        for (int i = extent; i < extent + count; i++) {
          if (!file.resident.get(i) && tier.reserve(file.bytesOf(i))) {
            int from = i * EXTENT;
            file.write(i, 1, ByteBuffer.wrap(image, from, file.bytesOf(i)));
            file.resident.set(i);
          }
        }
      }
      case 2 -> tier.drop(file, extent);
      default -> read(tier, file, extent, seed);
    }
  }

  private void readEverything(Tier tier, TierFile file, long seed) {
    for (int extent = 0; extent < EXTENTS; extent++) {
      read(tier, file, extent, seed);
    }
  }

  private void read(Tier tier, TierFile file, int extent, long seed) {
    if (!file.resident.get(extent)) {
      return;
    }
    ByteBuffer into = ByteBuffer.allocateDirect(file.bytesOf(extent));
    if (reader.read(file, (long) extent * EXTENT, into) < 0) {
      into.flip();
      assertThat(into)
          .as("extent %d, seed %d", extent, seed)
          .isEqualTo(ByteBuffer.wrap(image, extent * EXTENT, file.bytesOf(extent)).slice());
      served++;
    } else {
      assertThat(tier.dropIfCorrupt(file, extent, reader)).isTrue();
      refused++;
    }
  }

  @Test
  void everythingIsThereAfterACleanClose() throws Exception {
    replaceImage(new Random(1));
    var tier = open();
    TierFile file = tier.open("t", "disk", identity).file();
    for (int extent : new int[] {0, 7, EXTENTS - 1}) {
      assertThat(tier.reserve(file.bytesOf(extent))).isTrue();
      file.write(extent, 1, ByteBuffer.wrap(image, extent * EXTENT, file.bytesOf(extent)));
      file.resident.set(extent);
    }
    tier.close();
    storage.crash(new Random(1));
    var again = open();
    assertThat(again.usedBytes()).isEqualTo(2L * EXTENT + 5000);
    TierFile reopened = again.open("t", "disk", identity).file();
    readEverything(again, reopened, 1);
    assertThat(served).isEqualTo(3);
    assertThat(refused).isZero();
  }
}
