package dev.prestage.link.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ThinningTest {
  private static final long SECOND = 1_000_000_000;

  private final Thinning thinning = new Thinning();

  private int admitted(String kind, int lines, long nowNanos) {
    int admitted = 0;
    for (int i = 0; i < lines; i++) {
      if (thinning.admit(kind, "line " + i, nowNanos) != Thinning.LEAVE_OUT) {
        admitted++;
      }
    }
    return admitted;
  }

  @Test
  void aFewLinesOfEachKindPassAndTheRestIsToldInTheNextWindow() {
    assertThat(admitted("one", 100, 0)).isEqualTo(5);
    assertThat(admitted("another", 3, SECOND)).isEqualTo(3);
    assertThat(thinning.admit("one", "later", 9 * SECOND)).isEqualTo(Thinning.LEAVE_OUT);
    assertThat(thinning.admit("one", "later", 10 * SECOND)).isEqualTo(96);
    assertThat(thinning.admit("one", "later still", 10 * SECOND)).isZero();
  }

  @Test
  void aLineThatRepeatsTheLastOneIsLeftOut() {
    assertThat(thinning.admit("one", "same", 0)).isZero();
    assertThat(thinning.admit("one", "same", SECOND)).isEqualTo(Thinning.LEAVE_OUT);
    assertThat(thinning.admit("one", "other", SECOND)).isZero();
  }
}
