package dev.prestage.benchmarks.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.Comparator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RecordingTest {
  @ParameterizedTest
  @ValueSource(strings = {"web-1", "web-2", "web-3", "web-4", "db-1", "db-2", "db-3", "db-4"})
  void whatTheDemoReplaysIsThereAndPlausible(String name) throws IOException {
    Recording recording = Recording.load(name);
    assertThat(recording.reads()).hasSizeGreaterThan(1000);
    assertThat(recording.reads())
        .isSortedAccordingTo(Comparator.comparingLong(Recording.Read::startMicros))
        .allMatch(read -> read.endMicros() >= read.startMicros())
        .allMatch(read -> read.length() > 0 && read.offset() + read.length() <= 1L << 30);
  }

  @Test
  void oneThatIsNotThereIsNamed() {
    assertThatThrownBy(() -> Recording.load("web-99"))
        .isInstanceOf(FileNotFoundException.class)
        .hasMessageContaining("web-99");
  }
}
