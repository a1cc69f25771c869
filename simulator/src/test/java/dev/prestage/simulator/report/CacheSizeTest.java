package dev.prestage.simulator.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.prestage.simulator.Traces;
import dev.prestage.simulator.trace.Trace;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CacheSizeTest {
  private static final Trace OF_59_PAGES = Traces.of(LongStream.range(0, 59).toArray());

  @ParameterizedTest
  @CsvSource({
    "1%, 1, 1%",
    "5%, 2, 5%",
    "10, 5, 10%",
    "0.5, 1, 0.5%",
    "99.9%, 58, 99.9%",
    "100%, 59, 100%",
    "300%, 177, 300%",
    "unlimited, 2147483639, unlimited",
  })
  void aShareOfTheDistinctPagesRoundedDownIsAtLeastOnePage(String text, int pages, String shown) {
    CacheSize size = CacheSize.of(text);
    assertThat(size.pages(OF_59_PAGES)).isEqualTo(pages);
    assertThat(size).hasToString(shown);
    assertThat(CacheSize.of(size.toString())).isEqualTo(size);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "%", "much", "5%%", "-5%", "0", "NaN"})
  void whatHoldsNothingIsNoSize(String text) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> CacheSize.of(text))
        .withMessageContaining("cache");
  }

  @Test
  void aMultipleOfEverythingIsEverything() {
    assertThat(CacheSize.of("5%").times(2)).isEqualTo(CacheSize.of("10%"));
    assertThat(CacheSize.UNLIMITED.times(2)).isEqualTo(CacheSize.UNLIMITED);
  }
}
