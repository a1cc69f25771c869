package dev.prestage.control.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.control.notice.NoticeHub;
import dev.prestage.engine.stage.Notice;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
final class AllocationWaitTest {
  private static final Command.ShowAllocation ASKED = new Command.ShowAllocation(42);

  private final NoticeHub hub = new NoticeHub(() -> 0);
  private volatile String state = "staging";
  private volatile boolean gone;
  private final AllocationWait waits = new AllocationWait(this::show, hub);

  private Reply show(Command command) throws Refusal {
    if (gone) {
      throw new Refusal(Refusal.Reason.UNKNOWN, "no allocation 42");
    }
    return new Reply.Allocation(42, "vm1", "web", 10, 8, 3, 2, state);
  }

  private static String state(Reply reply) {
    return ((Reply.Allocation) reply).state();
  }

  private void awaitListener() {
    while (hub.listeners() == 0) {
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
    }
  }

  @Test
  void theNoticeEndsTheWaiting() throws Exception {
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<Reply> answer = threads.submit(() -> waits.await(ASKED, Duration.ofMinutes(10)));
      awaitListener();
      state = "available";
      hub.publish(new Notice.Available(0, "vm1", "web", 42, 10, 655_360));
      assertThat(state(answer.get())).isEqualTo("available");
    }
    assertThat(hub.listeners()).isZero();
  }

  @Test
  void anAllocationThatEndsWithoutANoticeEndsTheWaitingToo() throws Exception {
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<Reply> answer = threads.submit(() -> waits.await(ASKED, Duration.ofMinutes(10)));
      awaitListener();
      gone = true;
      assertThatThrownBy(answer::get).hasCauseInstanceOf(Refusal.class);
    }
  }

  @Test
  void whenTheTimeHasPassedTheAnswerIsHowFarItIs() throws Exception {
    assertThat(state(waits.await(ASKED, Duration.ofMillis(20)))).isEqualTo("staging");
    assertThat(state(waits.await(ASKED, Duration.ZERO))).isEqualTo("staging");
  }
}
