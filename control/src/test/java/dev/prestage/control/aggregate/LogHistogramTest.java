package dev.prestage.control.aggregate;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class LogHistogramTest {
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void aQuantileIsRightToWithinAnEighth(long seed) {
    Random random = new Random(seed);
    LogHistogram histogram = new LogHistogram();
    long[] values = new long[10_000];
    for (int i = 0; i < values.length; i++) {
      values[i] = (long) (2_000 * Math.exp(random.nextDouble() * 18)); // 2 µs to 36 h
      values[i] = Math.min(values[i], (1L << 44) - 1);
      histogram.add(values[i]);
    }
    Arrays.sort(values);
    for (double share : new double[] {0.01, 0.25, 0.5, 0.9, 0.99, 1}) {
      double exact = values[(int) Math.ceil(share * values.length) - 1];
      assertThat(histogram.quantile(share) / exact)
          .as("seed %d, quantile %f", seed, share)
          .isBetween(0.875, 1.125);
    }
  }

  @Test
  void noQuantileLiesOutsideOfWhatWasSeen() {
    LogHistogram histogram = new LogHistogram();
    assertThat(histogram.quantile(0.5)).as("of nothing").isZero();
    histogram.add(1_234_567);
    assertThat(histogram.quantile(0.5)).isEqualTo(1_234_567);
    assertThat(histogram.quantile(0.99)).isEqualTo(1_234_567);
    for (long odd : new long[] {-1, 0, 3, Long.MAX_VALUE}) {
      LogHistogram one = new LogHistogram();
      one.add(odd);
      assertThat(one.quantile(0.5)).isEqualTo(odd);
    }
  }
}
