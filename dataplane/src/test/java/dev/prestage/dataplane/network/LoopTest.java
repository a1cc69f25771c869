package dev.prestage.dataplane.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.Pipe;
import java.nio.channels.SelectionKey;
import java.nio.channels.ServerSocketChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class LoopTest {
  private static final long PATIENCE_SECONDS = 20;
  private static final long NEVER_NANOS = TimeUnit.HOURS.toNanos(1);

  private Loop loop;
  private final BlockingQueue<String> said = new LinkedBlockingQueue<>();

  @BeforeEach
  void start() throws IOException {
    loop = new Loop();
  }

  @AfterEach
  void stop() {
    loop.close();
  }

  private String next() throws InterruptedException {
    return String.valueOf(said.poll(PATIENCE_SECONDS, TimeUnit.SECONDS));
  }

  /// Runs something on the loop's thread and waits for it.
  private void inLoop(Task task) throws Exception {
    CompletableFuture<String> done = new CompletableFuture<>();
    loop.execute(() -> {
      try {
        task.run();
        done.complete("done");
      } catch (Exception e) {
        done.completeExceptionally(e);
      }
    });
    assertThat(done.get(PATIENCE_SECONDS, TimeUnit.SECONDS)).isEqualTo("done");
  }

  private interface Task {
    void run() throws Exception;
  }

  @Test
  void tasksOfManyThreadsRunOnOneThreadInTheOrderOfEach() throws Exception {
    List<Thread> threads = new ArrayList<>();
    List<Integer> counts = new ArrayList<>(List.of(0, 0, 0, 0));
    List<Thread> ranOn = new ArrayList<>();
    for (int who = 0; who < counts.size(); who++) {
      int number = who;
      threads.add(
          Thread.ofVirtual()
              .start(() -> {
                for (int i = 0; i < 1_000; i++) {
                  int expected = i;
                  loop.execute(() -> {
                    if (counts.get(number) == expected) {
                      counts.set(number, expected + 1);
                    }
                    ranOn.add(Thread.currentThread());
                  });
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    inLoop(() -> {
      assertThat(counts).containsExactly(1_000, 1_000, 1_000, 1_000);
      assertThat(ranOn).hasSize(4_000).containsOnly(Thread.currentThread());
    });
  }

  @Test
  void aTaskThatFailsIsNotTheEndOfTheOthers() throws Exception {
    loop.execute(() -> {
      throw new IllegalStateException("a defect");
    });
    loop.execute(() -> {
      throw new NoClassDefFoundError("no descriptor was left");
    });
    loop.execute(() -> said.add("the next one"));
    assertThat(next()).isEqualTo("the next one");
  }

  @Test
  void timersRunInTheOrderOfTheirTimesAndCancelledOnesDoNot() throws Exception {
    inLoop(() -> {
      Loop.Timer _ = loop.schedule(TimeUnit.MILLISECONDS.toNanos(2), () -> said.add("last"));
      // Due an hour ago, so it comes first however long this thread does not run in between.
      Loop.Timer _ = loop.schedule(-NEVER_NANOS, () -> said.add("first"));
      Loop.Timer cancelled = loop.schedule(-2 * NEVER_NANOS, () -> said.add("cancelled"));
      Loop.Timer _ = loop.schedule(NEVER_NANOS, () -> said.add("never"));
      loop.cancel(cancelled);
    });
    assertThat(next()).isEqualTo("first");
    assertThat(next()).isEqualTo("last");
    assertThat(said).isEmpty();
  }

  @Test
  void aChannelIsHeardUntilItIsDetachedAndThenMayBlock() throws Exception {
    Pipe pipe = Pipe.open();
    try (Pipe.SinkChannel in = pipe.sink();
        Pipe.SourceChannel out = pipe.source()) {
      out.configureBlocking(false);
      CompletableFuture<SelectionKey> key = new CompletableFuture<>();
      inLoop(() ->
          key.complete(
              loop.register(
                  out,
                  SelectionKey.OP_READ,
                  () -> {
                    try {
                      ByteBuffer bytes = ByteBuffer.allocate(8);
                      said.add("read " + out.read(bytes));
                    } catch (IOException e) {
                      said.add(e.toString());
                    }
                  })));
      assertThat(in.write(ByteBuffer.wrap(new byte[] {1, 2, 3}))).isEqualTo(3);
      assertThat(next()).isEqualTo("read 3");
      inLoop(() -> loop.detach(List.of(key.get()), () -> said.add("free")));
      assertThat(next()).isEqualTo("free");
      assertThat(out.isRegistered()).isFalse();
      out.configureBlocking(true);
      assertThat(in.write(ByteBuffer.wrap(new byte[] {4}))).isEqualTo(1);
      assertThat(out.read(ByteBuffer.allocate(8))).isEqualTo(1);
      assertThat(said).isEmpty();
    }
  }

  @Test
  void aListenersPortIsFreeWhenItsClosingReturns() throws Exception {
    ServerSocketChannel listener = ServerSocketChannel.open();
    listener.bind(new InetSocketAddress("127.0.0.1", 0));
    InetSocketAddress address = (InetSocketAddress) listener.getLocalAddress();
    listener.configureBlocking(false);
    inLoop(() -> loop.register(listener, SelectionKey.OP_ACCEPT, () -> said.add("a guest")));
    loop.closeNow(listener);
    try (ServerSocketChannel again = ServerSocketChannel.open()) {
      again.bind(address);
      assertThat(again.getLocalAddress()).isEqualTo(address);
    }
    assertThatThrownBy(
            () -> inLoop(() -> loop.register(listener, SelectionKey.OP_ACCEPT, () -> {})))
        .hasCauseInstanceOf(ClosedChannelException.class);
  }

  @Test
  void whatWasAskedForBeforeTheEndIsDoneAndNothingAfterIt() throws Exception {
    loop.execute(() -> said.add("before"));
    loop.close();
    loop.execute(() -> said.add("after"));
    assertThat(next()).isEqualTo("before");
    assertThat(said).isEmpty();
  }
}
