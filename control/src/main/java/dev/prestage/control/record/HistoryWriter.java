package dev.prestage.control.record;

import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.stage.Notice;
import dev.prestage.engine.stage.Notices;
import dev.prestage.engine.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// Takes accesses from whoever has them and writes them to a history on a thread of its own.
///
/// A slow disk or a dead database costs history and nothing else: [#offer] never waits, what does
/// not fit is dropped and counted by VM, and [#health] says why. A history that failed is opened
/// again by itself, first after a second, then after twice as long each time, at most a minute.
///
/// Every access that was offered is counted once: offered = written + dropped + waiting.
///
/// Threading: [#offer], [#find], [#scan] and the counters are for any thread. Opening, appending,
/// committing and closing happen on the writer's platform thread, questions are answered on two
/// others: a scan of a long history takes a second, and on a virtual thread it would hold one of
/// the few carriers that long. The writer's asks for the lowest priority, which Linux grants only
/// under `-XX:ThreadPriorityPolicy=1`.
public final class HistoryWriter implements AutoCloseable {
  /// How a history is opened, again after each failure. It may take seconds.
  @FunctionalInterface
  public interface Opener {
    /// An open history.
    ///
    /// @throws HistoryException with a line for the operator
    AccessHistory open();
  }

  /// 64 Ki accesses: at the pause below that is 3 million a second before the queue overflows, and
  /// half a second of a busy host's 100,000 a second while the disk hangs.
  static final int CAPACITY = 1 << 16;

  /// A commit costs about 1 ms and at most 7 ms, so one a second is below 1 % of a core.
  private static final long COMMIT_NANOS = Duration.ofSeconds(1).toNanos();

  /// And one after this many rows, which take about 15 ms to append: bounds what a kill can lose.
  private static final int COMMIT_ROWS = 100_000;

  /// How long the thread sleeps when there is nothing to write: 50 wake-ups a second.
  private static final long PAUSE_NANOS = Duration.ofMillis(20).toNanos();

  private static final long FIRST_RETRY_NANOS = Duration.ofSeconds(1).toNanos();
  private static final long LAST_RETRY_NANOS = Duration.ofMinutes(1).toNanos();
  private static final Duration CLOSE_WAIT = Duration.ofSeconds(10);

  /// How long a question waits while the history is opened for the first time, which takes a second
  /// or two, and for its answer. Who asks over the API gives up then, too.
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  /// How many questions are answered at once; the others wait.
  private static final int READERS = 2;

  private static final String OK = "ok";
  private static final System.Logger LOG = System.getLogger(HistoryWriter.class.getName());

  private final Opener opener;
  private final Duration patience;
  private final Clock clock;
  private final Notices notices;
  private final AccessRing ring;
  private final Thread thread;
  private final ConcurrentLinkedQueue<CompletableFuture<Boolean>> flushes =
      new ConcurrentLinkedQueue<>();
  private final ConcurrentHashMap<String, LongAdder> droppedByVm = new ConcurrentHashMap<>();
  private final LongAdder dropped = new LongAdder();
  private final AtomicLong written = new AtomicLong();
  private final AtomicLong failures = new AtomicLong();

  private final CountDownLatch tried = new CountDownLatch(1);

  private final ExecutorService readers =
      Executors.newFixedThreadPool(
          READERS, Thread.ofPlatform().name("history-reader-", 0).daemon(true).factory());

  private volatile String health = "history is being opened";
  private volatile @Nullable AccessHistory current;
  private volatile boolean closing;

  // Confined to the writer's thread.
  private final @Nullable Binding[] batch = new Binding[COMMIT_ROWS];
  private int batchSize;
  private long committedAt;
  private long retryAt;
  private long retryNanos = FIRST_RETRY_NANOS;

  /// Starts the writer; the history is opened in the background.
  public HistoryWriter(Opener opener, Clock clock, Notices notices) {
    this(opener, clock, notices, CAPACITY, PATIENCE);
  }

  @SuppressWarnings("ThreadPriorityCheck") // a wish, nothing relies on it
  HistoryWriter(Opener opener, Clock clock, Notices notices, int capacity, Duration patience) {
    this.opener = opener;
    this.patience = patience;
    this.clock = clock;
    this.notices = notices;
    this.ring = new AccessRing(capacity);
    this.retryAt = clock.nanos();
    this.committedAt = retryAt;
    this.thread = Thread.ofPlatform().name("history").daemon(true).unstarted(this::run);
    thread.setPriority(Thread.MIN_PRIORITY);
    thread.start();
  }

  /// Hands over one access; it can be found about a second later.
  ///
  /// @return whether it was taken; false when it was dropped (and counted)
  public boolean offer(Access access, Binding binding) {
    if (!closing && ring.offer(access, binding)) {
      return true;
    }
    drop(binding);
    return false;
  }

  /// The accesses that match, oldest first; of more than the limit, the newest. Waits until the
  /// history was opened, or could not be, for the first time.
  ///
  /// @throws Refusal when there is no history to ask now, or no answer in time; it says why
  public List<AccessHistory.Row> find(AccessHistory.Query query) throws Refusal {
    return ask((history, _) -> history.find(query));
  }

  /// Hands the accesses that match to a visitor, on a thread of this writer, and waits until it has
  /// seen them or has enough. A scan for which nobody waits any longer ends.
  ///
  /// @throws Refusal when there is no history to ask now, or not all was seen in time; it says why
  public void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor)
      throws Refusal {
    ask((history, calledOff) -> {
      history.scan(selection, row -> isAwaited(history, calledOff) && visitor.visit(row));
      if (!isAwaited(history, calledOff)) {
        throw new HistoryException("history was closed meanwhile; ask again", null);
      }
      return true;
    });
  }

  /// Whether a scan should go on. One in a history that failed ends, because the writer waits for
  /// it before it opens another.
  @SuppressWarnings("ReferenceEquality") // whether it is this very one
  private boolean isAwaited(AccessHistory history, AtomicBoolean calledOff) {
    return !closing && !calledOff.get() && current == history;
  }

  /// What a reader does.
  @FunctionalInterface
  private interface Question<T> {
    /// @param calledOff becomes true when nobody waits for the answer any longer
    T answer(AccessHistory history, AtomicBoolean calledOff);
  }

  private <T> T ask(Question<T> question) throws Refusal {
    AtomicBoolean calledOff = new AtomicBoolean();
    try {
      boolean _ = tried.await(patience.toNanos(), TimeUnit.NANOSECONDS);
      AccessHistory history = current;
      if (history == null || closing) {
        throw new Refusal(Refusal.Reason.UNAVAILABLE, health);
      }
      return await(readers.submit(() -> question.answer(history, calledOff)));
    } catch (RejectedExecutionException _) {
      throw new Refusal(Refusal.Reason.UNAVAILABLE, "history is closed");
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new Refusal(Refusal.Reason.UNAVAILABLE, "the request was called off");
    } catch (ExecutionException e) {
      if (e.getCause() instanceof HistoryException failed) {
        throw new Refusal(Refusal.Reason.UNAVAILABLE, String.valueOf(failed.getMessage()));
      }
      throw new IllegalStateException(e.getCause());
    } finally {
      calledOff.set(true);
    }
  }

  private <T> T await(Future<T> answer) throws Refusal, InterruptedException, ExecutionException {
    try {
      return answer.get(patience.toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException _) {
      throw new Refusal(
          Refusal.Reason.UNAVAILABLE,
          "history has no answer within "
              + patience.toSeconds()
              + " s; ask for a shorter time, with 'since' and 'until'");
    } finally {
      answer.cancel(false); // one that waits for its turn need not have it
    }
  }

  /// `ok`, or one line that says what is wrong and what to do.
  public String health() {
    return health;
  }

  /// Waits until all that was offered before this call is written and can be found.
  ///
  /// @return whether it is; false when the history is down or the time has passed
  public boolean flush(Duration wait) throws InterruptedException {
    CompletableFuture<Boolean> done = new CompletableFuture<>();
    flushes.add(done);
    LockSupport.unpark(thread);
    try {
      return done.get(wait.toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException | ExecutionException _) {
      return false;
    }
  }

  /// Accesses written and committed.
  public long written() {
    return written.get();
  }

  /// Accesses dropped, because the queue was full or the history down.
  public long dropped() {
    return dropped.sum();
  }

  /// The same by VM, without the VMs that were forgotten.
  public Map<String, Long> droppedByVm() {
    Map<String, Long> all = new TreeMap<>();
    droppedByVm.forEach((vm, count) -> all.put(vm, count.sum()));
    return all;
  }

  /// A VM is gone: stop counting for it by name.
  public void forget(String vm) {
    droppedByVm.remove(vm);
  }

  /// What this writer counts, for the metrics.
  public List<Reply.Counter> counters() {
    List<Reply.Counter> all = new ArrayList<>();
    all.add(new Reply.Counter("history_written", Map.of(), true, written()));
    all.add(new Reply.Counter("history_dropped", Map.of(), true, dropped()));
    all.add(new Reply.Counter("history_failures", Map.of(), true, failures.get()));
    all.add(new Reply.Counter("history_up", Map.of(), false, current == null ? 0 : 1));
    droppedByVm()
        .forEach((vm, count) ->
            all.add(new Reply.Counter("history_vm_dropped", Map.of("vm", vm), true, count)));
    return all;
  }

  /// How often the history failed to open or to write.
  long failures() {
    return failures.get();
  }

  /// Writes what was offered, commits and closes; gives up after ten seconds.
  @Override
  public void close() {
    closing = true;
    readers.shutdown();
    LockSupport.unpark(thread);
    try {
      if (!thread.join(CLOSE_WAIT)) {
        LOG.log(
            System.Logger.Level.WARNING,
            "history did not close within 10 s; what was not committed may be lost");
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    while (!closing) {
      boolean busy = step();
      if (!busy && !closing && flushes.isEmpty()) {
        LockSupport.parkNanos(this, PAUSE_NANOS);
      }
    }
    step();
    AccessHistory history = current;
    if (history != null) {
      current = null;
      history.close();
    }
    health = "history is closed";
    tried.countDown();
    for (CompletableFuture<Boolean> flush; (flush = flushes.poll()) != null; ) {
      flush.complete(false);
    }
  }

  /// One round: open if it is time, write what waits, commit if it is time.
  ///
  /// @return whether there was something to write
  private boolean step() {
    if (current == null && clock.nanos() >= retryAt) {
      open();
    }
    // A flush asks for what was offered before it, so look at the flushes first.
    List<CompletableFuture<Boolean>> waiting = new ArrayList<>();
    for (CompletableFuture<Boolean> flush; (flush = flushes.poll()) != null; ) {
      waiting.add(flush);
    }
    boolean busy = false;
    AccessHistory history = current;
    if (history == null) {
      while (ring.poll((_, vm) -> drop(vm))) {
        busy = true;
      }
    } else {
      try {
        busy = write(history);
        long now = clock.nanos();
        if (closing || !waiting.isEmpty() || now - committedAt >= COMMIT_NANOS) {
          commit(history, now);
          history.tend();
        }
      } catch (RuntimeException | Error e) { // native code fails with errors, too
        fail(history, e);
      }
    }
    boolean up = current != null;
    waiting.forEach(flush -> flush.complete(up));
    return busy;
  }

  private boolean write(AccessHistory history) {
    // At most the queue's capacity a round, so that commits come in time under a flood.
    int taken = 0;
    while (taken < CAPACITY && ring.poll((access, vm) -> append(history, access, vm))) {
      taken++;
      if (batchSize == COMMIT_ROWS) {
        commit(history, clock.nanos());
      }
    }
    return taken > 0;
  }

  @SuppressWarnings("ReferenceEquality") // whether it is this very one
  private void append(AccessHistory history, Access access, Binding binding) {
    if (access.timeNanos() < 0) {
      drop(binding); // before 1970: no time that the database knows
      return;
    }
    if (batch[batchSize] != binding) { // a store is work for the collector
      batch[batchSize] = binding;
    }
    batchSize++;
    history.append(access, binding);
  }

  private void commit(AccessHistory history, long now) {
    if (batchSize > 0) {
      history.commit();
      written.addAndGet(batchSize);
      batchSize = 0;
      retryNanos = FIRST_RETRY_NANOS;
    }
    committedAt = now;
  }

  private void open() {
    try {
      current = opener.open();
      committedAt = clock.nanos();
      if (!health.equals(OK) && failures.get() > 0) {
        LOG.log(System.Logger.Level.INFO, "history works again");
      }
      health = OK;
    } catch (RuntimeException | Error e) { // a library that does not load is an error
      down(e);
    } finally {
      tried.countDown();
    }
  }

  private void fail(AccessHistory history, Throwable e) {
    for (int i = 0; i < batchSize; i++) {
      Binding binding = batch[i];
      if (binding != null) {
        drop(binding);
      }
    }
    batchSize = 0;
    current = null;
    try {
      history.close();
    } catch (RuntimeException | Error closing) {
      LOG.log(System.Logger.Level.DEBUG, "while closing the failed history", closing);
    }
    down(e);
  }

  private void down(Throwable e) {
    String text =
        e instanceof HistoryException
            ? String.valueOf(e.getMessage())
            : "history cannot be written ("
                + (e.getMessage() == null ? e.toString() : e.getMessage())
                    .lines()
                    .findFirst()
                    .orElse("")
                + "); check the space and the permissions of its folder";
    retryAt = clock.nanos() + retryNanos;
    failures.incrementAndGet(); // last: who has seen it knows when it is tried again
    retryNanos = Math.min(retryNanos * 2, LAST_RETRY_NANOS);
    if (!text.equals(health)) {
      health = text;
      LOG.log(System.Logger.Level.WARNING, text);
      LOG.log(System.Logger.Level.DEBUG, "history failed", e);
      notices.publish(new Notice.Degraded(clock.nanos(), "history", text));
    }
  }

  private void drop(Binding binding) {
    dropped.increment();
    droppedByVm.computeIfAbsent(binding.vm().name(), _ -> new LongAdder()).increment();
  }
}
