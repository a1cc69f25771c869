package dev.prestage.simulator.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.prestage.engine.predict.Reliability;
import org.junit.jupiter.api.Test;

class CalibrationTest {
  private final Reliability opinions = new Reliability();

  private void judge(double probability, boolean... came) {
    for (boolean each : came) {
      opinions.judge(probability, each);
    }
  }

  @Test
  void errorLossAndSkillAreThoseOfTheBooks() {
    judge(.75, true, true, true, false);
    judge(.25, true, false);
    Calibration.Summary summary = Calibration.of(opinions);
    assertThat(summary.ece()).isCloseTo((4 * 0 + 2 * .25) / 6, within(1e-9));
    double loss = -3 * Math.log(.75) - Math.log(.25) - Math.log(.25) - Math.log(.75);
    assertThat(summary.logLoss()).isCloseTo(loss / 6, within(1e-9));
    double brier = (3 * .0625 + .5625 + .5625 + .0625) / 6;
    double base = 4.0 / 6 * (2.0 / 6);
    assertThat(summary.brierSkill()).isCloseTo(1 - brier / base, within(1e-9));
    assertThat(summary.bins())
        .containsExactly(
            new Calibration.Bin(8 / 33.0, 9 / 33.0, 2, .25, .5),
            new Calibration.Bin(24 / 33.0, 25 / 33.0, 4, .75, .75));
  }

  @Test
  void aCertaintyFallsIntoTheLastBinAndCostsAFiniteLoss() {
    judge(1, true, false);
    Calibration.Summary summary = Calibration.of(opinions);
    assertThat(summary.bins()).containsExactly(new Calibration.Bin(32 / 33.0, 1, 2, 1, .5));
    assertThat(summary.ece()).isEqualTo(.5);
    assertThat(summary.logLoss()).isCloseTo(-Math.log(1e-6) / 2, within(1e-9));
    assertThat(summary.brierSkill()).isEqualTo(-1);
  }

  @Test
  void smallProbabilitiesAreNotJudgedAndNothingIsZero() {
    judge(.0499, true);
    Calibration.Summary summary = Calibration.of(opinions);
    assertThat(summary.bins()).isEmpty();
    assertThat(summary.ece() + summary.logLoss() + summary.brierSkill()).isZero();
  }

  @Test
  void opinionsOfSeveralForecastersAddUp() {
    judge(.5, true);
    Reliability others = new Reliability();
    others.judge(.5, false);
    opinions.add(others);
    assertThat(Calibration.of(opinions).ece()).isZero();
  }
}
