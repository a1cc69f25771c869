package dev.prestage.control.webhook;

import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import dev.prestage.control.command.Reply;
import dev.prestage.control.notice.NoticeHub;
import dev.prestage.control.notice.NoticeJson;
import dev.prestage.engine.time.Clock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// Sends the notices to one address, each until the receiver has taken it or it is given up, and
/// the next one after that: the order stays.
///
/// Threading: a thread of its own; what it counts can be read on any.
final class WebhookSender implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(WebhookSender.class.getName());
  private static final Duration SILENCE = Duration.ofSeconds(5);

  /// The newest dead letters are shown, all are counted.
  private static final int SHOWN_DEAD = 20;

  private final Webhook webhook;
  private final NoticeHub hub;
  private final Clock clock;
  private final Delivery delivery;
  private final BackOff backOff;
  private final Thread thread;
  private final CountDownLatch closed = new CountDownLatch(1);
  private final ReentrantLock lock = new ReentrantLock();
  private final Deque<Reply.DeadLetter> deadLetters = new ArrayDeque<>();
  private NoticeHub.Listener listener;
  private long lastId;
  private long delivered;
  private long failed;
  private long dead;
  private String trouble = "";

  WebhookSender(Webhook webhook, Delivery delivery, BackOff backOff, NoticeHub hub, Clock clock) {
    this.webhook = webhook;
    this.delivery = delivery;
    this.backOff = backOff;
    this.hub = hub;
    this.clock = clock;
    this.listener = hub.listen(() -> {});
    this.thread =
        Thread.ofPlatform().name("webhook-" + webhook.number()).daemon().unstarted(this::run);
  }

  void start() {
    thread.start();
  }

  private void run() {
    try {
      while (closed.getCount() > 0) {
        NoticeHub.Entry entry = listener.next(SILENCE);
        if (entry != null) {
          passedOver(entry.id());
          lastId = entry.id();
          if (webhook.kinds().contains(NoticeJson.kind(entry.notice()))) {
            deliver(entry);
          }
        } else if (listener.state() == NoticeHub.State.CUT_OFF) {
          listener = hub.listenAfter(lastId, () -> {});
        } else if (listener.state() == NoticeHub.State.CLOSED) {
          return;
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /// Notices between the last and this one are no longer kept. How many of them this address would
  /// have got is not known any more, so all count.
  private void passedOver(long id) {
    if (lastId == 0 || id == lastId + 1) {
      return;
    }
    long lost = id - lastId - 1;
    lock.lock();
    try {
      dead += lost;
      remember(
          new Reply.DeadLetter(
              lastId + 1, "", lost + " notices: so many newer ones came meanwhile"));
    } finally {
      lock.unlock();
    }
    LOG.log(WARNING, "{0}: {1} notices were not delivered in time", webhook, lost);
  }

  private void deliver(NoticeHub.Entry entry) throws InterruptedException {
    for (int attempt = 1; ; attempt++) {
      String why = delivery.send(entry, TimeUnit.NANOSECONDS.toSeconds(clock.nanos()));
      note(why);
      if (why.isEmpty()) {
        return;
      }
      if (attempt >= backOff.attempts()) {
        giveUp(entry, why);
        return;
      }
      if (closed.await(backOff.after(attempt).toMillis(), TimeUnit.MILLISECONDS)) {
        return;
      }
    }
  }

  private void note(String why) {
    String before;
    lock.lock();
    try {
      before = trouble;
      trouble = why;
      if (why.isEmpty()) {
        delivered++;
      } else {
        failed++;
      }
    } finally {
      lock.unlock();
    }
    if (!why.isEmpty() && before.isEmpty()) {
      LOG.log(WARNING, "{0} does not take notices ({1}); trying again", webhook, why);
    } else if (why.isEmpty() && !before.isEmpty()) {
      LOG.log(INFO, "{0} takes notices again", webhook);
    }
  }

  private void giveUp(NoticeHub.Entry entry, String why) {
    lock.lock();
    try {
      dead++;
      remember(new Reply.DeadLetter(entry.id(), NoticeJson.kind(entry.notice()), why));
    } finally {
      lock.unlock();
    }
  }

  private void remember(Reply.DeadLetter letter) {
    if (deadLetters.size() == SHOWN_DEAD) {
      deadLetters.removeFirst();
    }
    deadLetters.addLast(letter);
  }

  /// How it stands.
  Reply.WebhookView view() {
    lock.lock();
    try {
      return new Reply.WebhookView(
          webhook.number(),
          webhook.shown(),
          webhook.kinds().stream().sorted().toList(),
          trouble.isEmpty() ? "ok" : "failing",
          trouble,
          delivered,
          failed,
          dead,
          List.copyOf(deadLetters));
    } finally {
      lock.unlock();
    }
  }

  /// Null, or one line that says what is wrong.
  @Nullable String trouble() {
    Reply.WebhookView view = view();
    return view.lastError().isEmpty()
        ? null
        : webhook + " does not take notices (" + view.lastError() + "); GET /v1/webhooks has more";
  }

  /// Ends it; what was not delivered is not any more.
  @Override
  public void close() {
    closed.countDown();
    thread.interrupt();
    delivery.close();
  }
}
