package dev.prestage.engine.predict;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;

class MixingTest {
  @Test
  void squashUndoesStretch() {
    for (float p = .01f; p < 1; p += .01f) {
      assertThat(Logistic.squash(Logistic.stretch(p))).isCloseTo(p, within(.003f));
    }
    assertThat(Logistic.squash(-1000)).isBetween(0f, .0001f);
    assertThat(Logistic.squash(1000)).isBetween(.9999f, 1f);
    assertThat(Logistic.stretch(0)).isFinite();
    assertThat(Logistic.stretch(1)).isFinite();
  }

  @Test
  void shareFollowsTheCasesFastAtFirstAndForgetsSlowly() {
    CountTable table = new CountTable(2, .1f);
    table.learn(1, true);
    assertThat(table.share(1)).isCloseTo(.6625f, within(1e-4f));
    assertThat(table.share(0)).isEqualTo(.1f);
    for (int i = 0; i < 4000; i++) {
      table.learn(1, i % 4 == 0);
    }
    assertThat(table.share(1)).isCloseTo(.25f, within(.02f));
    for (int i = 0; i < 1000; i++) {
      table.learn(1, true);
    }
    assertThat(table.share(1)).as("an old habit fades").isGreaterThan(.95f);
  }

  private static float[] opinions(float first, float second) {
    float[] opinions = new float[Mixer.EXPERTS];
    opinions[0] = first;
    opinions[1] = second;
    return opinions;
  }

  @Test
  void mixerComesToTrustTheExpertThatIsRight() {
    Random random = new Random(5);
    Mixer mixer = new Mixer(1, 1);
    float[] opinions = new float[Mixer.EXPERTS];
    for (int i = 0; i < 20_000; i++) {
      boolean truth = random.nextBoolean();
      opinions[0] = truth ? 2 : -2;
      opinions[1] = random.nextBoolean() ? 2 : -2;
      mixer.learn(opinions, 0, 0, mixer.mix(opinions, 0, 0), truth);
    }
    float right = Logistic.squash(mixer.mix(opinions(2, -2), 0, 0));
    float wrong = Logistic.squash(mixer.mix(opinions(-2, 2), 0, 0));
    assertThat(right).isGreaterThan(.95f);
    assertThat(wrong).isLessThan(.05f);
  }

  @Test
  void calibratorCorrectsAnOpinionThatIsAlwaysTooSure() {
    Calibrator calibrator = new Calibrator(1);
    Random random = new Random(6);
    int cell = Calibrator.cell(0, 3);
    assertThat(calibrator.probability(cell, 3)).isCloseTo(.95f, within(.01f));
    for (int i = 0; i < 5000; i++) {
      calibrator.learn(cell, random.nextInt(10) < 6);
    }
    assertThat(calibrator.probability(cell, 3))
        .as("half of .95 and .6")
        .isCloseTo(.78f, within(.03f));
  }
}
