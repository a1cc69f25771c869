package dev.prestage.cli.command;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class MetricsJsonTest {
  @Test
  void eachNumberIsOneObjectWithItsLabels() {
    assertThat(
            MetricsJson.of(
                """
                # HELP prestage_reads_total Reads.
                # TYPE prestage_reads_total counter
                prestage_reads_total{origin="n\\"a,s",vm="a b"} 5
                prestage_live 1.5
                """))
        .isEqualTo(
            "[{\"name\":\"prestage_reads_total\",\"labels\":{\"origin\":\"n\\\"a,s\",\"vm\":\"a b\"},\"value\":5.0},"
                + "{\"name\":\"prestage_live\",\"labels\":{},\"value\":1.5}]");
  }
}
