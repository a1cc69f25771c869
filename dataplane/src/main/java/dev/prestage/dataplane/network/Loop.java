package dev.prestage.dataplane.network;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.channels.SelectableChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;

/// One platform thread that waits for all channels which are being opened, so that each event costs
/// one waking of a thread.
///
/// A virtual thread that waits for a channel costs two or three: the poller's, its carrier's, and a
/// second carrier's. On a host whose processors sleep each takes a tenth of a millisecond, and a
/// connect with its first answer has six events.
///
/// What it runs must not block. Everything but [#execute] and [#close] is for its own thread.
final class Loop implements AutoCloseable {
  private static final Logger LOG = System.getLogger(Loop.class.getName());

  /// Times of `nanoTime` are compared as their distances from one of them.
  private static final long START = System.nanoTime();

  private static final long CLOSE_SECONDS = 1;

  private final Selector selector = Selector.open();
  private final Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
  private final List<Runnable> detached = new ArrayList<>();
  private final PriorityQueue<Timer> timers =
      new PriorityQueue<>(Comparator.comparingLong(timer -> timer.dueNanos() - START));
  private final Thread thread =
      Thread.ofPlatform().daemon().name("connections").unstarted(this::run);
  private volatile boolean closing;

  /// What is to run at a time.
  record Timer(long dueNanos, Runnable task) {}

  Loop() throws IOException {
    thread.start();
  }

  /// Runs a task on the loop's thread, soon; after the end, never.
  void execute(Runnable task) {
    tasks.add(task);
    if (Thread.currentThread() != thread) {
      selector.wakeup();
    }
  }

  /// Runs a task once so much time has passed.
  Timer schedule(long nanos, Runnable task) {
    var timer = new Timer(System.nanoTime() + nanos, task);
    timers.add(timer);
    return timer;
  }

  /// It need not run any more; harmless if it did.
  void cancel(Timer timer) {
    timers.remove(timer);
  }

  /// Waits for a channel.
  ///
  /// @param operations of [SelectionKey]
  /// @param ready runs whenever one of them is possible
  /// @throws IOException if the channel is closed
  SelectionKey register(SelectableChannel channel, int operations, Runnable ready)
      throws IOException {
    return channel.register(selector, operations, ready);
  }

  /// Waits for channels no more. A channel is free for another mode only once that is known.
  ///
  /// @param then runs when they are free
  void detach(List<SelectionKey> keys, Runnable then) {
    keys.forEach(SelectionKey::cancel);
    detached.add(then);
  }

  /// Closes a channel that it waits for, and returns when its port is free. For other threads.
  void closeNow(SelectableChannel channel) throws IOException {
    channel.close();
    CompletableFuture<Boolean> done = new CompletableFuture<>();
    execute(() -> detach(List.of(), () -> done.complete(true)));
    // Where the loop has ended there is nobody to wait for.
    boolean _ = done.completeOnTimeout(false, CLOSE_SECONDS, TimeUnit.SECONDS).join();
  }

  private void run() {
    try {
      while (!closing) {
        turn();
      }
      // What others asked for before the end, such as the closing of connections.
      turn();
      selector.close();
    } catch (IOException e) {
      LOG.log(Level.ERROR, "connections are opened no more", e);
    }
  }

  private void turn() throws IOException {
    boolean busy = closing || !tasks.isEmpty() || !detached.isEmpty();
    if (busy) {
      selector.selectNow();
    } else {
      selector.select(patienceMillis());
    }
    List<Runnable> free = List.copyOf(detached);
    detached.clear();
    free.forEach(Loop::guarded);
    for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
      guarded(task);
    }
    while (!timers.isEmpty() && timers.peek().dueNanos() - System.nanoTime() <= 0) {
      guarded(timers.poll().task());
    }
    for (SelectionKey key : List.copyOf(selector.selectedKeys())) {
      if (key.isValid() && key.attachment() instanceof Runnable ready) {
        guarded(ready);
      }
    }
    selector.selectedKeys().clear();
  }

  /// Zero is for ever.
  private long patienceMillis() {
    Timer next = timers.peek();
    if (next == null) {
      return 0;
    }
    long left = TimeUnit.NANOSECONDS.toMillis(next.dueNanos() - System.nanoTime());
    return Math.max(1, left + 1);
  }

  /// A defect in the handling of one connection is not the end of the others, and neither is a
  /// class that could not be read because no descriptor was left.
  private static void guarded(Runnable task) {
    try {
      task.run();
    } catch (RuntimeException | Error e) {
      LOG.log(Level.ERROR, "a connection could not be handled", e);
    }
  }

  /// Ends the thread; what was asked for before is done first.
  @Override
  public void close() {
    closing = true;
    selector.wakeup();
    try {
      thread.join();
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }
}
