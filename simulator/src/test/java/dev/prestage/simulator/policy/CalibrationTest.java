package dev.prestage.simulator.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import java.util.Map;
import org.junit.jupiter.api.Test;

class CalibrationTest {
  private final Calibration calibration = new Calibration();

  /// Says the same whenever it is asked.
  private record Saying(Map<Long, Double> probabilities) implements Forecaster, Forecaster.Cursor {
    @Override
    public Cursor start(int vm, long nowNanos) {
      return this;
    }

    @Override
    public void observe(Access access) {}

    @Override
    public void forecast(long nowNanos, long horizonNanos, Forecast into) {
      probabilities.forEach((page, p) -> into.add(page, p, nowNanos, Expert.PEER));
    }

    @Override
    public void next(long nowNanos, Forecast into) {}

    @Override
    public void stop(long nowNanos) {}
  }

  private Forecaster.Cursor saying(Map<Long, Double> probabilities) {
    return calibration.watch(new Saying(probabilities)).start(0, 0);
  }

  private static void touch(Forecaster.Cursor cursor, long page, long nanos) {
    cursor.observe(new Access(0, 0, page, nanos, AccessType.READ, 4096, Cause.DEMAND, false, 1));
  }

  private static void ask(Forecaster.Cursor cursor, long nowNanos, long horizonNanos) {
    cursor.forecast(nowNanos, horizonNanos, new Forecast());
  }

  @Test
  void errorLossAndSkillAreThoseOfTheBooks() {
    // Four forecasts of .75, of which three come, and two of .25, of which one comes.
    Forecaster.Cursor cursor = saying(Map.of(1L, .75, 2L, .75, 3L, .75, 4L, .75, 5L, .25, 6L, .25));
    ask(cursor, 0, 100);
    for (long page : new long[] {1, 2, 3, 5}) {
      touch(cursor, page, 10);
    }
    cursor.stop(20);
    Calibration.Summary summary = calibration.summary();
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
    Forecaster.Cursor cursor = saying(Map.of(1L, 1.0, 2L, 1.0));
    ask(cursor, 0, 100);
    touch(cursor, 1, 10);
    cursor.stop(20);
    Calibration.Summary summary = calibration.summary();
    assertThat(summary.bins()).containsExactly(new Calibration.Bin(32 / 33.0, 1, 2, 1, .5));
    assertThat(summary.ece()).isEqualTo(.5);
    assertThat(summary.logLoss()).isCloseTo(-Math.log(1e-6) / 2, within(1e-9));
    assertThat(summary.brierSkill()).isEqualTo(-1);
  }

  @Test
  void smallProbabilitiesAreNotJudgedAndNothingIsZero() {
    Forecaster.Cursor cursor = saying(Map.of(1L, .0499));
    ask(cursor, 0, 100);
    cursor.stop(200);
    Calibration.Summary summary = calibration.summary();
    assertThat(summary.bins()).isEmpty();
    assertThat(summary.ece() + summary.logLoss() + summary.brierSkill()).isZero();
  }

  private double observed() {
    assertThat(calibration.summary().bins()).hasSize(1);
    return calibration.summary().bins().getFirst().observed();
  }

  @Test
  void whatIsTouchedAfterTheHorizonDidNotCome() {
    Forecaster.Cursor cursor = saying(Map.of(1L, .5));
    ask(cursor, 0, 100);
    touch(cursor, 1, 101);
    assertThat(observed()).isZero();
  }

  @Test
  void whatIsTouchedAtTheHorizonCame() {
    Forecaster.Cursor cursor = saying(Map.of(1L, .5));
    ask(cursor, 0, 100);
    touch(cursor, 1, 100);
    touch(cursor, 2, 101);
    assertThat(observed()).isEqualTo(1);
  }

  @Test
  void ofTouchesInTheSameNanosecondThoseAfterTheForecastCount() {
    Forecaster.Cursor cursor = saying(Map.of(1L, .5));
    touch(cursor, 1, 7);
    ask(cursor, 7, 100);
    cursor.stop(8);
    assertThat(observed()).isZero();
    cursor = saying(Map.of(1L, .5));
    ask(cursor, 7, 100);
    touch(cursor, 1, 7);
    cursor.stop(8);
    assertThat(observed()).isEqualTo(.5);
  }

  @Test
  void theEndOfARunSettlesWhatIsOpen() {
    Forecaster.Cursor cursor = saying(Map.of(1L, .5));
    ask(cursor, 0, Long.MAX_VALUE / 4);
    assertThat(calibration.summary().bins()).isEmpty();
    cursor.stop(5);
    assertThat(observed()).isZero();
  }
}
