package dev.prestage.engine.predict;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelFileTest {
  private static final int HEADER = 20;

  private final Numbers host = new Numbers("other", "image", "data");

  private static final class Numbers implements Spaces {
    private final List<Name> names = new ArrayList<>();

    Numbers(String... images) {
      for (String image : images) {
        number(new Name("default", ResourceType.FILE_BLOCK, image));
      }
    }

    @Override
    public int number(Name name) {
      if (!names.contains(name)) {
        names.add(name);
      }
      return names.indexOf(name);
    }

    @Override
    public Name name(int number) {
      return names.get(number);
    }
  }

  private static HybridForecaster learnt(long seed, int runs) {
    Random random = new Random(seed);
    HybridForecaster forecaster = new HybridForecaster();
    for (int run = 0; run < runs; run++) {
      long now = 1_000_000_000;
      Forecaster.Cursor cursor = forecaster.start(1, now);
      for (int i = 0; i < 60; i++) {
        now += random.nextInt(3_000_000);
        int space = 1 + random.nextInt(2);
        long resource = Resource.of(space, random.nextInt(3) == 0 ? random.nextInt(500) : i);
        cursor.observe(
            new Access(0, 1, resource, now, AccessType.READ, 4096, Cause.DEMAND, false, 1));
      }
      cursor.stop(now);
    }
    return forecaster;
  }

  private byte[] file(long seed) {
    return new ModelFile("default", "web", learnt(seed, 5)).encode(host);
  }

  private static byte[] sealed(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, HEADER, bytes.length - HEADER);
    ByteBuffer.wrap(bytes).putInt(12, bytes.length - HEADER).putInt(16, (int) crc.getValue());
    return bytes;
  }

  private void assertRefused(byte[] bytes, String reason) {
    assertThatThrownBy(() -> ModelFile.decode(ByteBuffer.wrap(bytes), host))
        .isInstanceOf(ModelException.class)
        .hasMessageContaining(reason);
  }

  @Test
  void whatIsReadIsWrittenByteForByte() throws ModelException {
    byte[] bytes = file(1);
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    ModelFile model = ModelFile.decode(buffer, host);
    assertThat(buffer.position()).isZero();
    assertThat(model.program()).isEqualTo("web");
    assertThat(model.forecaster().runs()).isEqualTo(5);
    assertThat(model.encode(host)).isEqualTo(bytes);
  }

  /// Written by format version 1: three runs of units 5, 9 and 2, the last one with 40.
  private static final byte[] FIRST_VERSION =
      Base64.getDecoder()
          .decode(
              "UFJFU1RBR0UAAAABAAACJq9sIBsAB2RlZmF1bHQAA3dlYgAAAAEAB2RlZmF1bHQACmZpbGUtYmxv"
                  + "Y2sABWltYWdlAAAAAwAAAAQAAAAAAAAAAAAAAAVABJR64UeuFEAElHrhR64UAAAAAAAAAAAAAAAA"
                  + "AAAAAAAAAAlABJR64UeuFEAElHrhR64UP/AAAAAAAAAAAAAAAAAAAAAAAAJABJR64UeuFEAElHrh"
                  + "R64UQAAAAAAAAAAAAAAAAAAAAAAAACg/8AAAAAAAAEAElHrhR64VQAgAAAAAAAAAAAAEAAAAAAAP"
                  + "QkAAAAAAAB6EgAAAAAAALcbAAAAAAAA9CQAAAAAEAAAAAAAAAAAAAAAFAAAAAAAAAAAAAAAJAAAA"
                  + "AAAAAAAAAAACAAAAAAAAAAAAAAAoAAAAAwAAAAAAAAAAAAAABQAAAAMAAAADAAAAAAAAAAAAAAAJ"
                  + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJAAAAAwAAAAMAAAAAAAAAAAAAAAIAAAAAAAAAAAAAAAAA"
                  + "AAAAAAAAAAAAAAIAAAABAAAAAQAAAAAAAAAAAAAAKAAAAAAAAAAAAAAAAAAAAAAAAAACAAAAAAAA"
                  + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                  + "BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");

  @Test
  void launchProfileOfTheFirstVersionLivesOn() throws ModelException {
    ModelFile model = ModelFile.decode(ByteBuffer.wrap(FIRST_VERSION), host);
    assertThat(model.program()).isEqualTo("web");
    assertThat(model.forecaster().runs()).isEqualTo(3);
    Forecast forecast = new Forecast();
    model.forecaster().start(1, 0).forecast(0, Long.MAX_VALUE / 4, forecast);
    assertThat(LongStream.range(0, forecast.size()).map(row -> forecast.resource((int) row)))
        .containsExactly(
            Resource.of(1, 5), Resource.of(1, 9), Resource.of(1, 2), Resource.of(1, 40));
    assertThat(forecast.probability(0)).isGreaterThan(.9);
    assertThat(forecast.probability(3)).isLessThan(.5);
    byte[] again = model.encode(host);
    assertThat(ModelFile.decode(ByteBuffer.wrap(again), host).encode(host)).isEqualTo(again);
  }

  @Test
  void sectionOfALaterVersionIsPassedOver() throws ModelException {
    byte[] bytes = file(6);
    int section = new String(bytes, StandardCharsets.ISO_8859_1).indexOf("markov");
    bytes[section + 6 + 3] = 9;
    HybridForecaster forecaster =
        ModelFile.decode(ByteBuffer.wrap(sealed(bytes)), host).forecaster();
    assertThat(forecaster.runs()).isEqualTo(5);
  }

  @Test
  void askingForForecastsLeavesTheModelAsItIs() {
    HybridForecaster forecaster = learnt(3, 5);
    byte[] before = new ModelFile("default", "web", forecaster).encode(host);
    Forecaster.Cursor cursor = forecaster.start(1, 0);
    cursor.forecast(0, Long.MAX_VALUE / 4, new Forecast());
    assertThat(new ModelFile("default", "web", forecaster).encode(host)).isEqualTo(before);
  }

  @Test
  void spacesAreRenumberedOnAnotherHost() throws ModelException {
    byte[] bytes = file(2);
    Numbers there = new Numbers("a", "b", "c", "data");
    HybridForecaster forecaster = ModelFile.decode(ByteBuffer.wrap(bytes), there).forecaster();
    int image = there.number(new Spaces.Name("default", ResourceType.FILE_BLOCK, "image"));
    assertThat(image).isEqualTo(4);
    HybridForecaster here = ModelFile.decode(ByteBuffer.wrap(bytes), host).forecaster();
    assertThat(forecaster.lastRun())
        .isEqualTo(
            LongStream.of(here.lastRun())
                .map(r -> Resource.of(Resource.space(r) == 1 ? image : 3, Resource.index(r)))
                .toArray());
    Forecast expected = new Forecast();
    forecaster.start(1, 0).forecast(0, Long.MAX_VALUE / 4, expected);
    assertThat(expected.size()).isEqualTo(here.resources());
    for (int row = 0; row < expected.size(); row++) {
      assertThat(Resource.space(expected.resource(row))).isIn(image, 3);
    }
  }

  @Test
  void cutForeignNewerAndDamagedFilesAreRefusedWithTheirReason() {
    byte[] bytes = file(4);
    assertRefused(new byte[0], "not a Prestage model");
    assertRefused(
        "hello, this is a text file".getBytes(StandardCharsets.UTF_8), "not a Prestage model");
    assertRefused(Arrays.copyOf(bytes, bytes.length - 1), "it is cut");
    assertRefused(Arrays.copyOf(bytes, bytes.length + 1), "it is cut");
    byte[] newer = bytes.clone();
    newer[11] = 3;
    assertRefused(newer, "format version 3");
    byte[] damaged = bytes.clone();
    damaged[bytes.length / 2] ^= 4;
    assertRefused(damaged, "checksum");
    assertRefused(sealed(Arrays.copyOf(bytes, bytes.length + 3)), "left over");
    assertRefused(sealed(Arrays.copyOf(bytes, bytes.length - 3)), "it ends within");
  }

  @Test
  void announcedSizesCostNoMemory() {
    byte[] bytes = file(5);
    int spaces = 4 + 2 * (2 + 7 + 2 + 10 + 2) + 5 + 4;
    int runSet = HEADER + 2 + 7 + 2 + 3 + spaces + 4 + 2 + 6 + 4 + 4;
    ByteBuffer at = ByteBuffer.wrap(bytes);
    assertThat(at.getInt(runSet)).as("the place of the run count").isEqualTo(5);
    at.putInt(runSet + 4, Integer.MAX_VALUE);
    assertRefused(sealed(bytes), "announces");
    at.putInt(runSet + 4, 2_000_000);
    assertRefused(sealed(bytes), "it ");
    at.putInt(runSet + 4, -1);
    assertRefused(sealed(bytes), "announces");
  }

  @ParameterizedTest(name = "seed {0}")
  @ValueSource(longs = {11, 12, 13, 14})
  void maliciousBytesAreRefusedOrHarmless(long seed) {
    Random random = new Random(seed);
    byte[] good = file(seed);
    int accepted = 0;
    for (int round = 0; round < 1000; round++) {
      byte[] bytes =
          random.nextInt(4) == 0
              ? Arrays.copyOf(good, HEADER + random.nextInt(good.length - HEADER))
              : good.clone();
      for (int i = random.nextInt(6); i >= 0 && bytes.length > HEADER; i--) {
        int place = HEADER + random.nextInt(bytes.length - HEADER);
        bytes[place] = (byte) (random.nextBoolean() ? random.nextInt() : -random.nextInt(2));
      }
      try {
        Numbers there = new Numbers("first");
        ModelFile model = ModelFile.decode(ByteBuffer.wrap(sealed(bytes)), there);
        accepted++;
        use(model.forecaster());
        byte[] again = model.encode(there);
        ModelFile.decode(ByteBuffer.wrap(again), there);
      } catch (ModelException e) {
        assertThat(e).hasMessageMatching("(?s)its? .*");
      } catch (RuntimeException | AssertionError e) {
        fail("seed " + seed + ", round " + round, e);
      }
    }
    assertThat(accepted).as("some changes are harmless").isPositive();
  }

  private static void use(HybridForecaster forecaster) {
    long now = 1_800_000_000_000_000_000L;
    Forecast forecast = new Forecast();
    Forecaster.Cursor cursor = forecaster.start(1, now);
    cursor.forecast(now, Long.MAX_VALUE / 4, forecast);
    for (int i = 0; i < 5; i++) {
      cursor.observe(
          new Access(
              0, 1, Resource.of(0, 2L * i), now + i, AccessType.READ, 1, Cause.DEMAND, false, 1));
      cursor.forecast(now + i, 1_000_000_000, forecast);
    }
    cursor.stop(now + 10);
    for (int row = 0; row < forecast.size(); row++) {
      assertThat(forecast.probability(row)).isBetween(0.0, 1.0);
      assertThat(forecast.dueNanos(row)).isPositive();
    }
  }
}
