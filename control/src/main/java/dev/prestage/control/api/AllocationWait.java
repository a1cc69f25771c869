package dev.prestage.control.api;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Commands;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.control.notice.NoticeHub;
import dev.prestage.engine.stage.Notice;
import java.time.Duration;

/// Answers how far an allocation is once nothing more comes of it. The notice that says so ends the
/// waiting, so nobody has to ask again and again.
final class AllocationWait {
  /// Shorter than the half minute for which clients wait for any answer.
  static final Duration LONGEST = Duration.ofSeconds(25);

  private static final String UNFINISHED = "staging";

  /// An allocation that a newer one has replaced, or whose program has stopped, ends without a
  /// notice.
  private static final Duration LOOK_AGAIN = Duration.ofSeconds(1);

  private final Commands commands;
  private final NoticeHub hub;

  AllocationWait(Commands commands, NoticeHub hub) {
    this.commands = commands;
    this.hub = hub;
  }

  /// The allocation when it is settled, or as it is when the time has passed.
  Reply await(Command.ShowAllocation command, Duration longest) throws Refusal {
    if (longest.isZero()) {
      return commands.execute(command);
    }
    long end = System.nanoTime() + longest.toNanos();
    // Listens before it looks: what happens in between is not missed.
    try (NoticeHub.Listener listener = hub.listen(() -> {})) {
      while (true) {
        Reply reply = commands.execute(command);
        long left = end - System.nanoTime();
        if (left <= 0
            || listener.state() != NoticeHub.State.LISTENING
            || !(reply instanceof Reply.Allocation now && now.state().equals(UNFINISHED))) {
          return reply;
        }
        hear(listener, command.allocation(), Math.min(left, LOOK_AGAIN.toNanos()));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(Refusal.Reason.UNAVAILABLE, "this control plane is stopping");
    }
  }

  private static void hear(NoticeHub.Listener listener, long allocation, long nanos)
      throws InterruptedException {
    long end = System.nanoTime() + nanos;
    for (long left = nanos; left > 0; left = end - System.nanoTime()) {
      NoticeHub.Entry entry = listener.next(Duration.ofNanos(left));
      if (entry == null || settles(entry.notice(), allocation)) {
        return;
      }
    }
  }

  private static boolean settles(Notice notice, long allocation) {
    return notice instanceof Notice.Available settled && settled.allocation() == allocation;
  }
}
