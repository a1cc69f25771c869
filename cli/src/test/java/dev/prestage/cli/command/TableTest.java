package dev.prestage.cli.command;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TableTest {
  @ParameterizedTest
  @CsvSource({
    "0, 0 B",
    "1023, 1023 B",
    "1024, 1.0 KiB",
    "1048575, 1.0 MiB",
    "33554432, 32.0 MiB",
    "8589934592, 8.0 GiB",
    "9223372036854775807, 8.0 EiB"
  })
  void sizesHaveUnits(long bytes, String text) {
    assertThat(Table.size(bytes)).isEqualTo(text);
  }
}
