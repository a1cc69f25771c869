package dev.prestage.engine.predict.amount;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Whether the quantile is exceeded as often as it should be, and what it costs.
class AmountForecastTest {
  private static final Duration WINDOW = Duration.ofMillis(500);
  private static final int WARM = 200;

  private long exceeded;
  private long windows;
  private double unused;
  private double used;

  private void run(AmountForecast forecast, double[] amounts) {
    for (int i = 0; i < amounts.length; i++) {
      if (i >= WARM) {
        windows += amounts[i] > 0 || forecast.next() > 0 ? 1 : 0;
        exceeded += amounts[i] > forecast.next() ? 1 : 0;
        unused += Math.max(0, forecast.next() - amounts[i]);
        used += amounts[i];
      }
      forecast.observe(amounts[i]);
    }
  }

  private double share() {
    return (double) exceeded / windows;
  }

  private static double noisy(SplittableRandom random, double amount) {
    return Math.max(0, amount * (1 + 0.1 * random.nextGaussian()));
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void aBurstThatRepeatsIsForetold(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    double[] amounts = new double[2000];
    for (int i = 0; i < amounts.length; i++) {
      amounts[i] = noisy(random, i % 20 < 6 ? 100 : 5);
    }
    run(new AmountForecast(.9, WINDOW, 0), amounts);
    assertThat(share()).isBetween(.06, .14);
    assertThat(unused / used).as("what was foretold and not used").isLessThan(.35);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void whatNobodyCanForetellIsExceededAsOftenAsItShouldBe(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    double[] amounts = new double[2000];
    for (int i = 0; i < amounts.length; i++) {
      amounts[i] = -50 * Math.log(1 - random.nextDouble());
    }
    run(new AmountForecast(.9, WINDOW, 0), amounts);
    assertThat(share()).isBetween(.06, .14);
  }

  @Test
  void aChangeOfHabitsIsFollowed() {
    SplittableRandom random = new SplittableRandom(7);
    double[] amounts = new double[3000];
    for (int i = 0; i < amounts.length; i++) {
      boolean later = i >= 1500;
      amounts[i] = noisy(random, i % (later ? 34 : 20) < 6 ? (later ? 300 : 100) : 5);
    }
    run(new AmountForecast(.9, WINDOW, 0), amounts);
    assertThat(share()).isBetween(.05, .15);
  }

  @Test
  void aTimeOfDayIsLearnt() {
    Duration window = Duration.ofMinutes(10);
    SplittableRandom random = new SplittableRandom(3);
    double[] amounts = new double[144 * 30];
    for (int i = 0; i < amounts.length; i++) {
      int hour = i % 144 / 6;
      amounts[i] = noisy(random, hour >= 8 && hour < 18 ? 100 : 2);
    }
    run(new AmountForecast(.9, window, 0), amounts);
    assertThat(share()).isBetween(.05, .15);
    assertThat(unused / used).isLessThan(.3);
  }

  @Test
  void aTimeOfDayIsLearntByItself() {
    Duration window = Duration.ofMinutes(1);
    TimeOfDay expert = new TimeOfDay(.9, window.toNanos(), 0);
    SplittableRandom random = new SplittableRandom(3);
    for (int i = 0; i < 1440 * 20; i++) {
      int hour = i % 1440 / 60;
      if (i > 1440 * 10) {
        assertThat(expert.next())
            .as("at %d h", hour)
            .isBetween(hour < 8 ? 0.0 : 50.0, hour < 8 ? 20.0 : 200.0);
      }
      expert.observe(hour < 8 ? 0 : noisy(random, 100));
    }
  }

  /// Four minutes of silence say nothing of bursts.
  @Test
  void aPauseDoesNotMakeForecastsBolder() {
    SplittableRandom random = new SplittableRandom(9);
    AmountForecast forecast = new AmountForecast(.9, WINDOW, 0);
    for (int i = 0; i < 1000; i++) {
      forecast.observe(noisy(random, 100));
    }
    for (int i = 0; i < 5000; i++) {
      forecast.observe(0);
    }
    forecast.observe(100);
    int more = 0;
    for (int i = 0; i < 40; i++) {
      double amount = noisy(random, 100);
      more += amount > forecast.next() ? 1 : 0;
      forecast.observe(amount);
    }
    assertThat(more).isLessThan(12);
  }

  @Test
  void anOutlierIsForgotten() {
    SplittableRandom random = new SplittableRandom(9);
    AmountForecast forecast = new AmountForecast(.9, WINDOW, 0);
    forecast.observe(100_000);
    double[] amounts = new double[3000];
    for (int i = 0; i < amounts.length; i++) {
      amounts[i] = noisy(random, i % 20 < 6 ? 100 : 5);
    }
    run(forecast, amounts);
    assertThat(share()).isBetween(.05, .15);
    assertThat(unused / used).isLessThan(.5);
  }

  @Test
  void nothingIsForetoldOfNothing() {
    AmountForecast forecast = new AmountForecast(.9, WINDOW, 0);
    assertThat(forecast.next()).isZero();
    for (int i = 0; i < 500; i++) {
      forecast.observe(0);
      assertThat(forecast.next()).isZero();
    }
    assertThat(forecast.exceeded()).isZero();
  }

  @Test
  void noMoreIsForetoldThanEverCame() {
    SplittableRandom random = new SplittableRandom(5);
    AmountForecast forecast = new AmountForecast(.9, WINDOW, 0);
    double largest = 0;
    for (int i = 0; i < 3000; i++) {
      double amount = random.nextInt(5) == 0 ? random.nextDouble() * i : 0;
      largest = Math.max(largest, amount);
      forecast.observe(amount);
      assertThat(forecast.next()).isBetween(0.0, largest);
    }
  }
}
