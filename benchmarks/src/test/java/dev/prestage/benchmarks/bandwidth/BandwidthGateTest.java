package dev.prestage.benchmarks.bandwidth;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

/// What the gate is made of, tiny.
class BandwidthGateTest {
  @Test
  void decisionsAreMeasured() {
    assertThat(BandwidthGate.decisions(1000)).isPositive();
  }

  @Test
  void tableNamesTheLinkAndEachMode() {
    BandwidthReport.Row row =
        new BandwidthReport.Row("predicted", 10_500_000, 11_000_000, 0.984, 10_000_000, 0, 0);
    String table = new BandwidthReport(20_000_000, 12_500_000, 7, List.of(row)).table();
    assertThat(table)
        .startsWith("link: 20.0 MB/s, filled by 7 greedy VMs; one more bursts to 12.5 MB/s")
        .contains("| predicted |", "98.4 %", "10.5");
  }
}
