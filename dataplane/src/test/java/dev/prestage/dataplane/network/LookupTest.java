package dev.prestage.dataplane.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class LookupTest {
  private static final Duration LONG = Duration.ofSeconds(20);
  private static final List<InetAddress> FOUND = List.of(InetAddress.ofLiteral("192.0.2.7"));

  @Test
  void whoDoesNotWaitLongEnoughIsToldSoAndTheNextOneGetsTheSameAnswer() throws Exception {
    var answers = new CountDownLatch(1);
    var questions = new AtomicInteger();
    var lookup =
        new Lookup(
            "db",
            () -> {
              questions.incrementAndGet();
              answers.await();
              return FOUND;
            });
    for (int i = 0; i < 3; i++) {
      assertThatThrownBy(() -> lookup.addresses(Duration.ofMillis(1)))
          .isInstanceOf(IOException.class)
          .hasMessage("its name cannot be resolved: no answer of the resolver for 1 ms");
    }
    answers.countDown();
    assertThat(lookup.addresses(LONG)).isEqualTo(FOUND);
    assertThat(questions).hasValueBetween(1, 2);
  }

  @Test
  void aQuestionThatGotNoThreadIsAskedAgain() throws Exception {
    var threads = new AtomicInteger();
    var lookup =
        new Lookup(
            () -> FOUND,
            question -> {
              if (threads.incrementAndGet() == 1) {
                throw new OutOfMemoryError("unable to create native thread");
              }
              Thread.ofVirtual().start(question);
            });
    assertThatThrownBy(() -> lookup.addresses(LONG)).isInstanceOf(OutOfMemoryError.class);
    assertThat(lookup.addresses(LONG)).isEqualTo(FOUND);
  }

  @Test
  void anAnswerOfNoIsNotKept() throws Exception {
    var questions = new AtomicInteger();
    var lookup =
        new Lookup(
            "db",
            () -> {
              if (questions.incrementAndGet() == 1) {
                throw new UnknownHostException("db");
              }
              return FOUND;
            });
    assertThatThrownBy(() -> lookup.addresses(LONG))
        .hasMessage("its name cannot be resolved")
        .hasCauseInstanceOf(UnknownHostException.class);
    assertThat(lookup.addresses(LONG)).isEqualTo(FOUND);
  }
}
