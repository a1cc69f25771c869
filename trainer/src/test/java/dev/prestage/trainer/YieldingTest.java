package dev.prestage.trainer;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(20)
class YieldingTest {
  private final Yielding yielding = new Yielding();

  private void say(String words) throws IOException {
    yielding.hear(new ByteArrayInputStream(words.getBytes(StandardCharsets.US_ASCII)));
  }

  @Test
  void itRestsFromWhenItIsToYieldUntilItMayWork() throws Exception {
    say("r");
    Thread rests = Thread.ofPlatform().daemon().start(yielding::rest);
    while (rests.getState() != Thread.State.WAITING) {
      Thread.onSpinWait();
    }
    say("r\nx\nw");
    assertThat(rests.join(Duration.ofSeconds(10))).isTrue();
    // It may work: this does not wait.
    yielding.rest();
  }
}
