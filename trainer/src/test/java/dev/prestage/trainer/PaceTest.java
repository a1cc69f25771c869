package dev.prestage.trainer;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class PaceTest {
  private static final long WORKED = TimeUnit.MILLISECONDS.toNanos(2);
  private static final long LONG_NANOS = TimeUnit.HOURS.toNanos(1);

  private final Pace pace = new Pace();

  private void say(String words) {
    try {
      pace.hear(new ByteArrayInputStream(words.getBytes(StandardCharsets.US_ASCII)));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void whileItYieldsItWorksAFifthOfTheTime() {
    say("y");
    long before = System.nanoTime();
    pace.rest(WORKED);
    assertThat(System.nanoTime() - before).isGreaterThanOrEqualTo(4 * WORKED);
  }

  @Test
  void otherwiseItDoesNotRest() {
    long before = System.nanoTime();
    pace.rest(LONG_NANOS);
    say("y\nx\nw");
    pace.rest(LONG_NANOS);
    assertThat(System.nanoTime() - before).isLessThan(LONG_NANOS);
  }
}
