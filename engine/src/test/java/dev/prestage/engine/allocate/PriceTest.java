package dev.prestage.engine.allocate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class PriceTest {
  private static final long MILLI = 1_000_000;
  private static final long UNIT = 65_536;

  private final Price price = new Price();

  @Test
  void anIdleLinkIsWorthWhatTheBytesTakeOfTheLatencySaved() {
    // 65,536 bytes at 200 MB/s take 0.328 ms of 10 ms.
    assertThat(price.threshold(UNIT, 10 * MILLI, 0)).isCloseTo(.0328, within(.0001));
    assertThat(price.threshold(UNIT, MILLI, 0)).isCloseTo(.328, within(.001));
  }

  @Test
  void thePriceRisesWithLoad() {
    assertThat(price.threshold(UNIT, 10 * MILLI, .5)).isCloseTo(.0655, within(.0001));
    assertThat(price.threshold(UNIT, 10 * MILLI, .9)).isCloseTo(.328, within(.001));
    assertThat(price.threshold(UNIT, 10 * MILLI, 1)).isCloseTo(.655, within(.001));
  }

  @Test
  void whatSavesNothingIsStagedOnlyWhenCertainAndWhatIsFreeNotOnAWhim() {
    assertThat(price.threshold(UNIT, 0, 0)).isEqualTo(Price.MOST);
    assertThat(price.threshold(1, 1000 * MILLI, 0)).isEqualTo(Price.LEAST);
  }

  @Test
  void evictionsThatWereRegrettedMakeItDearerAndAreForgotten() {
    double before = price.threshold(UNIT, 10 * MILLI, 0);
    for (int i = 0; i < 512; i++) {
      price.came(1);
      price.regretted();
    }
    // 512 of 1,536 arrivals.
    assertThat(price.threshold(UNIT, 10 * MILLI, 0)).isCloseTo(before + .333, within(.001));
    price.came(20 * 1024);
    for (int i = 0; i < 20; i++) {
      price.came(1024);
    }
    assertThat(price.threshold(UNIT, 10 * MILLI, 0)).isCloseTo(before, within(.01));
  }

  @Test
  void aBusyLinkShowsHowFastItIsAndAnIdleOneDoesNot() {
    for (int i = 0; i < 100; i++) {
      price.landed(UNIT, false, i * 10 * MILLI);
    }
    assertThat(price.bytesPerSecond()).isEqualTo(Price.FIRST_BYTES_PER_SECOND);
    // A unit each 0.1 ms are 655 MB/s.
    for (int i = 0; i < 2000; i++) {
      price.landed(UNIT, true, 1000 * MILLI + i * MILLI / 10);
    }
    assertThat(price.bytesPerSecond()).isCloseTo(655e6, within(10e6));
    // A unit each millisecond, for a minute.
    for (int i = 0; i < 60_000; i++) {
      price.landed(UNIT, true, 2000 * MILLI + i * MILLI);
    }
    assertThat(price.bytesPerSecond()).isCloseTo(65.5e6, within(5e6));
  }
}
