package dev.prestage.control.record;

import static dev.prestage.control.record.Accesses.START;
import static dev.prestage.control.record.Accesses.at;
import static dev.prestage.control.record.Accesses.disk;
import static dev.prestage.control.record.Accesses.eventually;
import static dev.prestage.control.record.Accesses.query;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.control.command.Refusal;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.stage.Notice;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class HistoryWriterTest {
  private static final Duration LONG = Duration.ofSeconds(30);
  private static final Binding VM1 = disk("vm1", "web");
  private static final Binding VM2 = disk("vm2", "web");

  private final AtomicLong now = new AtomicLong(START);
  private final List<Notice> notices = Collections.synchronizedList(new ArrayList<>());

  @TempDir Path folder;

  @Test
  void offeredAccessesCanBeFoundAfterAFlushAndAfterReopening() throws Exception {
    try (var writer = writer(() -> new QuestDbHistory(folder))) {
      for (int i = 0; i < 10_000; i++) {
        assertThat(writer.offer(at(START + i, i), VM1)).isTrue();
      }
      assertThat(writer.flush(LONG)).isTrue();
      assertThat(writer.find(query("web", "vm1", 20_000))).hasSize(10_000);
      assertThat(writer.health()).isEqualTo("ok");
      assertThat(writer.written()).isEqualTo(10_000);
      writer.offer(at(START + 10_000, 10_000), VM1);
    }
    try (var history = new QuestDbHistory(folder)) {
      assertThat(history.find(query(null, null, 20_000))).hasSize(10_001);
    }
  }

  @Test
  void aQuestionThatComesWhileTheHistoryIsBeingOpenedWaitsForIt() throws Exception {
    CountDownLatch open = new CountDownLatch(1);
    HistoryWriter.Opener slow =
        () -> {
          try {
            open.await();
          } catch (InterruptedException e) {
            throw new HistoryException("interrupted", e);
          }
          return new FakeHistory();
        };
    try (var writer = writer(slow)) {
      var question = new FutureTask<>(() -> writer.find(query(null, null, 1)));
      Thread asker = Thread.ofPlatform().start(question);
      eventually(
          "waits", () -> question.isDone() || asker.getState() == Thread.State.TIMED_WAITING);
      open.countDown();
      assertThat(question.get()).isEmpty();
    }
  }

  @Test
  void withoutAFlushACommitComesEverySecond() throws Exception {
    FakeHistory history = new FakeHistory();
    try (var writer = writer(() -> history)) {
      assertThat(writer.flush(LONG)).isTrue();
      writer.offer(at(START, 1), VM1);
      eventually("appended", () -> history.appended.get() == 1);
      assertThat(history.committed.get()).isZero();
      now.addAndGet(Duration.ofSeconds(1).toNanos());
      eventually("committed", () -> history.committed.get() == 1);
    }
    assertThat(history.closed.get()).isTrue();
  }

  @Test
  void aFolderThatCannotBeUsedIsALoudStateThatHealsByItself() throws Exception {
    Path blocked = Files.createFile(folder.resolve("history"));
    try (var writer = writer(() -> new QuestDbHistory(blocked))) {
      eventually("down", () -> writer.health().contains("cannot be written"));
      assertThat(writer.health()).contains(blocked.toString()).doesNotContain("\n");
      assertThat(writer.offer(at(START, 1), VM1)).isTrue();
      assertThat(writer.flush(LONG)).isFalse();
      assertThat(writer.droppedByVm()).containsEntry("vm1", 1L);
      assertThatThrownBy(() -> writer.find(query(null, null, 1)))
          .isInstanceOf(Refusal.class)
          .hasMessage(writer.health())
          .extracting(e -> ((Refusal) e).reason())
          .isEqualTo(Refusal.Reason.UNAVAILABLE);
      assertThat(notices)
          .singleElement()
          .isInstanceOfSatisfying(
              Notice.Degraded.class,
              notice -> {
                assertThat(notice.kind()).isEqualTo("history");
                assertThat(notice.text()).isEqualTo(writer.health());
              });

      Files.delete(blocked);
      now.addAndGet(Duration.ofSeconds(1).toNanos());
      eventually("healed", () -> writer.health().equals("ok"));
      writer.offer(at(START, 2), VM1);
      assertThat(writer.flush(LONG)).isTrue();
      assertThat(writer.find(query(null, null, 9)))
          .extracting(AccessHistory.Row::resource)
          .containsExactly(2L);
    }
  }

  @Test
  void eachFailureDoublesTheWaitAndARowWrittenResetsIt() {
    AtomicInteger tries = new AtomicInteger();
    AtomicBoolean works = new AtomicBoolean();
    FakeHistory history = new FakeHistory();
    HistoryWriter.Opener opener =
        () -> {
          tries.incrementAndGet();
          if (!works.get()) {
            throw new HistoryException("no disk", null);
          }
          return history;
        };
    try (var writer = writer(opener)) {
      eventually("first failure", () -> writer.failures() == 1);
      for (int i = 0; i < 7; i++) {
        long wait = Math.min(1L << i, 60);
        now.addAndGet(Duration.ofSeconds(wait).toNanos() - 1);
        int before = tries.get();
        // The writer passes at least once more without trying: a dropped access proves it.
        long dropped = writer.dropped();
        writer.offer(at(START, 1), VM1);
        eventually("dropped", () -> writer.dropped() > dropped);
        assertThat(tries.get()).isEqualTo(before);
        now.addAndGet(1);
        eventually("try after " + wait + " s", () -> writer.failures() == before + 1);
        assertThat(tries.get()).isEqualTo(before + 1);
      }
      works.set(true);
      now.addAndGet(Duration.ofSeconds(60).toNanos());
      eventually("healed", () -> writer.health().equals("ok"));
      assertThat(notices).hasSize(1); // one trouble is told once, however often it is tried
    }
  }

  @Test
  void aDatabaseThatFailsWhileWritingIsReopenedAndWhatWasNotCommittedIsCounted() throws Exception {
    FakeHistory bad = new FakeHistory();
    FakeHistory good = new FakeHistory();
    AtomicInteger opened = new AtomicInteger();
    try (var writer = writer(() -> opened.getAndIncrement() == 0 ? bad : good)) {
      writer.offer(at(START, 1), VM1);
      assertThat(writer.flush(LONG)).isTrue();
      bad.failure = new IllegalStateException("No space left on device");
      writer.offer(at(START, 2), VM1);
      writer.offer(at(START, 3), VM2);
      assertThat(writer.flush(LONG)).isFalse();
      assertThat(writer.health()).contains("No space left on device").contains("space");
      assertThat(bad.closed.get()).isTrue();
      assertThat(writer.droppedByVm()).isEqualTo(Map.of("vm1", 1L, "vm2", 1L));
      now.addAndGet(Duration.ofSeconds(1).toNanos());
      eventually("reopened", () -> writer.health().equals("ok"));
      writer.offer(at(START, 4), VM1);
      assertThat(writer.flush(LONG)).isTrue();
      assertThat(good.committed.get()).isEqualTo(1);
      assertThat(writer.written()).isEqualTo(2);
      assertThat(writer.dropped()).isEqualTo(2);
      writer.forget("vm1");
      assertThat(writer.droppedByVm()).isEqualTo(Map.of("vm2", 1L));
      assertThat(writer.dropped()).isEqualTo(2);
    }
  }

  @Test
  void aHangingDatabaseNeverMakesAnOfferWait() throws Exception {
    CountDownLatch release = new CountDownLatch(1);
    FakeHistory history = new FakeHistory();
    HistoryWriter.Opener hangs =
        () -> {
          try {
            release.await();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
          return history;
        };
    try (var writer = new HistoryWriter(hangs, now::get, notices::add, 16, LONG)) {
      Thread[] producers = new Thread[4];
      for (int t = 0; t < producers.length; t++) {
        Binding vm = disk("vm" + t, "web");
        producers[t] =
            Thread.ofPlatform()
                .start(() -> {
                  for (int i = 0; i < 1000; i++) {
                    writer.offer(at(START, i), vm);
                  }
                });
      }
      for (Thread producer : producers) {
        producer.join();
      }
      assertThat(writer.dropped()).isEqualTo(4000 - 16);
      assertThat(writer.droppedByVm().values().stream().mapToLong(Long::longValue).sum())
          .isEqualTo(writer.dropped());
      release.countDown();
      assertThat(writer.flush(LONG)).isTrue();
      assertThat(writer.written()).isEqualTo(16);
      assertThat(writer.counters())
          .anySatisfy(counter -> {
            assertThat(counter.name()).isEqualTo("history_dropped");
            assertThat(counter.value()).isEqualTo(3984);
          });
    }
  }

  @Test
  void manyProducersLoseNothingWhenThereIsRoom() throws Exception {
    FakeHistory history = new FakeHistory();
    AtomicLong refused = new AtomicLong();
    try (var writer = writer(() -> history)) {
      Thread[] producers = new Thread[3];
      for (int t = 0; t < producers.length; t++) {
        producers[t] =
            Thread.ofPlatform()
                .start(() -> {
                  for (int i = 0; i < 50_000; i++) {
                    if (!writer.offer(at(START, i), VM1)) {
                      refused.incrementAndGet();
                    }
                  }
                });
      }
      for (Thread producer : producers) {
        producer.join();
      }
      assertThat(writer.flush(LONG)).isTrue();
      assertThat(writer.written() + writer.dropped()).isEqualTo(150_000);
      assertThat(writer.dropped()).isEqualTo(refused.get());
      assertThat(history.committed.get()).isEqualTo(writer.written());
    }
  }

  @Test
  void aScanForWhichNobodyWaitsAnyLongerEnds() {
    FakeHistory history = new FakeHistory();
    var selection = new AccessHistory.Selection(null, null, null, 0, Long.MAX_VALUE);
    try (var writer =
        new HistoryWriter(() -> history, now::get, notices::add, 16, Duration.ofMillis(20))) {
      eventually("opened", () -> writer.health().equals("ok"));
      for (int i = 0; i < 5; i++) { // more often than there are readers
        assertThatThrownBy(() -> writer.scan(selection, _ -> true))
            .isInstanceOf(Refusal.class)
            .hasMessageContaining("no answer within")
            .hasMessageContaining("ask for a shorter time");
        eventually("the scan ends", () -> history.scans.get() == 0);
      }
    }
  }

  @Test
  void aScanEndsWhenTheHistoryIsClosed() throws Exception {
    FakeHistory history = new FakeHistory();
    var selection = new AccessHistory.Selection(null, null, null, 0, Long.MAX_VALUE);
    var writer = writer(() -> history);
    CountDownLatch underWay = new CountDownLatch(1);
    var question =
        new FutureTask<>(() -> {
          writer.scan(
              selection,
              _ -> {
                underWay.countDown();
                return true;
              });
          return true;
        });
    Thread.ofPlatform().start(question);
    underWay.await();
    writer.close();
    assertThatThrownBy(question::get)
        .hasCauseInstanceOf(Refusal.class)
        .hasMessageContaining("closed");
    assertThat(history.scans.get()).isZero();
  }

  private HistoryWriter writer(HistoryWriter.Opener opener) {
    return new HistoryWriter(opener, now::get, notices::add);
  }

  private static final class FakeHistory implements AccessHistory {
    final AtomicInteger appended = new AtomicInteger();
    final AtomicInteger committed = new AtomicInteger();
    final AtomicInteger scans = new AtomicInteger();
    final AtomicBoolean closed = new AtomicBoolean();
    volatile @Nullable RuntimeException failure;

    @Override
    public void append(Access access, Binding binding) {
      appended.incrementAndGet();
    }

    @Override
    public void commit() {
      RuntimeException broken = failure;
      if (broken != null) {
        throw broken;
      }
      committed.set(appended.get());
    }

    @Override
    public List<Row> find(Query query) {
      return List.of();
    }

    @Override
    public void scan(Selection selection, Visitor visitor) {
      Row row =
          new Row(
              START,
              "default",
              "web",
              "vm1",
              ResourceType.FILE_BLOCK,
              "debian12",
              1,
              AccessType.READ,
              4096,
              Cause.DEMAND,
              true,
              1,
              1);
      scans.incrementAndGet();
      while (visitor.visit(row)) {
        // without an end
      }
      scans.decrementAndGet();
    }

    @Override
    public void close() {
      closed.set(true);
    }
  }
}
