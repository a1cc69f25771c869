package dev.prestage.benchmarks.network;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class NetworkReportTest {
  private static final List<Long> ONE_TO_HUNDRED_MILLIS =
      LongStream.rangeClosed(1, 100).map(millis -> millis * 1_000_000).boxed().toList();

  @Test
  void percentilesAreValuesThatWereSeen() {
    assertThat(NetworkReport.millis(ONE_TO_HUNDRED_MILLIS.reversed(), 0.50)).isEqualTo(50);
    assertThat(NetworkReport.millis(ONE_TO_HUNDRED_MILLIS.reversed(), 0.95)).isEqualTo(95);
    assertThat(NetworkReport.millis(List.of(3_000_000L), 0.95)).isEqualTo(3);
  }

  @Test
  void wastedIsWhatNobodySpokeOn() {
    NetworkReport.Row row = NetworkReport.Row.of("predicted", ONE_TO_HUNDRED_MILLIS, 125, 100);
    assertThat(row.wasted()).isEqualTo(25);
    assertThat(row.wastedShare()).isEqualTo(0.2);
    assertThat(new NetworkReport(40, "none", List.of(row)).table())
        .contains("| predicted |    100 |   50.0 |   95.0 |    125 |  100 |   20 % |");
  }
}
