package dev.prestage.engine.predict;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.predict.neural.Network;
import dev.prestage.engine.predict.neural.Vocabulary;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class NeuralExpertTest {
  private static final int UNITS = 8;
  private static final double LN2 = Math.log(2);

  private final HybridForecaster forecaster = new HybridForecaster();
  private final Forecaster.Cursor cursor = forecaster.start(1, 0);
  private final Forecast forecast = new Forecast();
  private final Random random = new Random(8);
  private long now;

  /// A network without memory of its own: behind each unit it expects the one that a table names.
  private static Network expecting(int[] following, float surely) {
    long[] units = new long[UNITS];
    for (int i = 0; i < UNITS; i++) {
      units[i] = Resource.of(0, i);
    }
    Vocabulary vocabulary = new Vocabulary(units, new long[0]);
    int words = vocabulary.words();
    // Cell i stands for unit i: z = 0 lets it be n, which is 1 for the unit that was read.
    float[] input = new float[words * 3 * UNITS];
    for (int word = 0; word < words; word++) {
      for (int cell = 0; cell < UNITS; cell++) {
        input[word * 3 * UNITS + UNITS + cell] = -50;
        input[word * 3 * UNITS + 2 * UNITS + cell] = word == cell + 1 ? 50 : 0;
      }
    }
    float[] next = new float[UNITS * words];
    for (int unit = 0; unit < UNITS; unit++) {
      next[unit * words + 1 + following[unit]] = surely;
    }
    return new Network(
        vocabulary,
        UNITS,
        input,
        new float[UNITS * 3 * UNITS],
        new float[3 * UNITS],
        next,
        new float[words],
        next,
        new float[words]);
  }

  private double touch(int unit) {
    now += 1_000_000;
    forecast.clear();
    cursor.next(now, forecast);
    int row = forecast.row(Resource.of(0, unit));
    double said = row < 0 ? 0 : forecast.probability(row);
    cursor.observe(
        new Access(0, 1, Resource.of(0, unit), now, AccessType.READ, 4096, Cause.DEMAND, false, 1));
    double sum = 0;
    for (int i = 0; i < forecast.size(); i++) {
      sum += forecast.probability(i);
    }
    assertThat(sum).isLessThan(1.0001);
    return said;
  }

  /// Units at random, so that no table knows what comes.
  private double bits(int requests) {
    double bits = 0;
    int before = 0;
    for (int i = 0; i < requests; i++) {
      int unit = (before + 1 + random.nextInt(UNITS - 1)) % UNITS;
      bits -= Math.log(Math.max(1e-4, touch(unit))) / LN2;
      before = unit;
    }
    return bits / requests;
  }

  @Test
  void networkThatForetellsNothingIsRetired() {
    bits(2_000);
    double without = bits(2_000);
    forecaster.serve(expecting(new int[] {0, 0, 0, 0, 0, 0, 0, 0}, 9));
    double onTrial = bits(4_000);
    assertThat(forecaster.network()).isNotNull();
    bits(200);
    assertThat(forecaster.network()).as("after 4,096 requests").isNull();
    assertThat(forecaster.networkGain()).isLessThan(0.05);
    assertThat(onTrial).as("bits a request").isLessThan(without + .02);
  }

  @Test
  void networkThatKnowsMoreIsTrustedAndStays() {
    // Behind each unit comes its partner or, as often, another one that no table has seen there.
    int[] partner = {3, 5, 7, 1, 0, 2, 4, 6};
    forecaster.serve(expecting(partner, 3));
    double first = 0;
    double last = 0;
    int before = 0;
    for (int i = 0; i < 6_000; i++) {
      int unit = random.nextInt(10) < 6 ? partner[before] : random.nextInt(UNITS);
      double bits = -Math.log(Math.max(1e-4, touch(unit))) / LN2;
      if (i < 300) {
        first += bits / 300;
      } else if (i >= 5_700) {
        last += bits / 300;
      }
      before = unit;
    }
    assertThat(first).as("with a network before tables know anything").isLessThan(4);
    assertThat(last).isLessThan(2.6);
    assertThat(forecaster.network()).as("after its trial").isNotNull();
    assertThat(forecaster.networkGain()).isGreaterThan(.05);
  }

  @Test
  void networkNamesWhatItSaysComesSoon() {
    forecaster.serve(expecting(new int[] {3, 5, 0, 1, 0, 2, 4, 6}, 6));
    touch(2);
    cursor.propose(
        Forecaster.Open.ALL, new Forecaster.Lead(1_000_000, 1_000), now, .3, 8, forecast);
    forecast.clear();
    cursor.forecast(now, Long.MAX_VALUE / 4, forecast);
    int row = forecast.row(Resource.of(0, 0));
    assertThat(row).as("no table knows what lies behind 2").isNotNegative();
    assertThat(Expert.of(forecast.experts(row))).containsExactly(Expert.NEURAL);
  }

  @Test
  void modelFileHoldsTheNetwork() throws ModelException {
    bits(300);
    forecaster.serve(expecting(new int[] {1, 2, 3, 4, 5, 6, 7, 0}, 5));
    bits(100);
    var spaces = new OneSpace();
    byte[] file = new ModelFile("default", "web", forecaster).encode(spaces);
    HybridForecaster again = ModelFile.decode(ByteBuffer.wrap(file), spaces).forecaster();
    assertThat(again.network()).isNotNull();
    assertThat(again.networkGain()).isCloseTo(forecaster.networkGain(), within(1e-6));
    assertThat(new ModelFile("default", "web", again).encode(spaces)).isEqualTo(file);
  }

  private static final class OneSpace implements Spaces {
    private final List<Name> names =
        List.of(new Name("default", ResourceType.FILE_BLOCK, "debian12"));

    @Override
    public int number(Name name) {
      return names.indexOf(name);
    }

    @Override
    public Name name(int number) {
      return names.get(number);
    }
  }
}
