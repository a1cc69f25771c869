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
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// Sends the notices to one address, each until the receiver has taken it or it is given up, and
/// the next one after that: the order stays. What waits is in a queue of its own, with the kinds
/// that the address gets; when that is full, the oldest are given up.
///
/// Threading: a thread that takes from the hub and one that sends; what it counts can be read on
/// any.
final class WebhookSender implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(WebhookSender.class.getName());
  private static final Duration SILENCE = Duration.ofSeconds(5);

  /// A receiver that is down for an hour on a busy host misses nothing; at about 150 bytes each
  /// they take 10 MB.
  static final int QUEUED = 65_536;

  /// The newest dead letters are shown, all are counted.
  private static final int SHOWN_DEAD = 20;

  private final Webhook webhook;
  private final NoticeHub hub;
  private final Clock clock;
  private final Delivery delivery;
  private final BackOff backOff;
  private final int capacity;
  private final Thread listening;
  private final Thread sending;
  private final Deque<NoticeHub.Entry> waiting = new ArrayDeque<>();
  private final CountDownLatch closed = new CountDownLatch(1);
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition more = lock.newCondition();
  private final Deque<Reply.DeadLetter> deadLetters = new ArrayDeque<>();
  private NoticeHub.Listener listener;
  private long lastId;
  private long delivered;
  private long failed;
  private long dead;
  private String trouble = "";

  /// @param capacity how many notices may wait
  WebhookSender(
      Webhook webhook,
      Delivery delivery,
      BackOff backOff,
      int capacity,
      NoticeHub hub,
      Clock clock) {
    this.capacity = capacity;
    this.webhook = webhook;
    this.delivery = delivery;
    this.backOff = backOff;
    this.hub = hub;
    this.clock = clock;
    this.listener = hub.listen(() -> {});
    String name = "webhook-" + webhook.number();
    this.listening = Thread.ofPlatform().name(name + "-queue").daemon().unstarted(this::listen);
    this.sending = Thread.ofPlatform().name(name).daemon().unstarted(this::send);
  }

  void start() {
    listening.start();
    sending.start();
  }

  private void listen() {
    try {
      while (closed.getCount() > 0) {
        NoticeHub.Entry entry = listener.next(SILENCE);
        if (entry != null) {
          passedOver(entry.id());
          lastId = entry.id();
          if (webhook.kinds().contains(NoticeJson.kind(entry.notice()))) {
            enqueue(entry);
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

  /// Notices between the last and this one are no longer kept: this thread did not run for that
  /// long. How many of them this address would have got is not known any more, so all count.
  private void passedOver(long id) {
    if (lastId != 0 && id != lastId + 1) {
      long lost = id - lastId - 1;
      lock.lock();
      try {
        lost(lastId + 1, lost);
      } finally {
        lock.unlock();
      }
    }
  }

  private void enqueue(NoticeHub.Entry entry) {
    lock.lock();
    try {
      if (waiting.size() == capacity) {
        lost(waiting.removeFirst().id(), 1);
      }
      waiting.addLast(entry);
      more.signal();
    } finally {
      lock.unlock();
    }
  }

  private void lost(long firstId, long count) {
    dead += count;
    Reply.DeadLetter last = deadLetters.peekLast();
    long first = firstId;
    if (last != null && last.event().isEmpty()) {
      // One for all that are lost in a row.
      first = last.id();
      deadLetters.removeLast();
    } else {
      LOG.log(WARNING, "{0}: notices are not delivered in time and given up", webhook);
    }
    remember(new Reply.DeadLetter(first, "", "given up, as so many newer ones came meanwhile"));
  }

  private void send() {
    try {
      while (closed.getCount() > 0) {
        deliver(next());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private NoticeHub.Entry next() throws InterruptedException {
    lock.lock();
    try {
      while (waiting.isEmpty()) {
        more.await();
      }
      return waiting.removeFirst();
    } finally {
      lock.unlock();
    }
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
    listening.interrupt();
    sending.interrupt();
    delivery.close();
  }
}
