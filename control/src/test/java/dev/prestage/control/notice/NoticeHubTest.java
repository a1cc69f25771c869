package dev.prestage.control.notice;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.control.notice.NoticeHub.State;
import dev.prestage.engine.stage.Notice;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

final class NoticeHubTest {
  private static final Duration LONG = Duration.ofSeconds(30);
  private static final long FIRST = 1_000_000;

  private final NoticeHub hub = new NoticeHub(() -> FIRST * 1000, 8);

  @Test
  void aListenerGetsWhatIsPublishedAfterItCameInOrder() throws InterruptedException {
    publish(1);
    try (var listener = hub.listen(() -> {})) {
      publish(2, 3);
      assertThat(read(listener)).containsExactly(2L, 3L);
      assertThat(listener.missed()).isZero();
    }
    assertThat(hub.listeners()).isZero();
    assertThat(hub.published()).isEqualTo(3);
  }

  @Test
  void idsAscendByOneFromTheStartOfTheHub() throws InterruptedException {
    try (var listener = hub.listen(() -> {})) {
      publish(1, 2);
      assertThat(listener.next(LONG)).isEqualTo(new NoticeHub.Entry(FIRST, notice(1)));
      assertThat(listener.next(LONG)).isEqualTo(new NoticeHub.Entry(FIRST + 1, notice(2)));
    }
  }

  @Test
  void aReconnectGoesOnWhereItWas() throws InterruptedException {
    publish(1, 2, 3, 4);
    try (var listener = hub.listenAfter(FIRST + 1, () -> {})) {
      assertThat(read(listener)).containsExactly(3L, 4L);
      assertThat(listener.missed()).isZero();
    }
    try (var listener = hub.listenAfter(FIRST + 3, () -> {})) {
      publish(5);
      assertThat(read(listener)).containsExactly(5L);
    }
  }

  @Test
  void aReconnectAfterTooMuchIsToldSo() throws InterruptedException {
    publish(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    try (var listener = hub.listenAfter(FIRST, () -> {})) {
      assertThat(listener.missed()).isEqualTo(1);
      assertThat(read(listener)).containsExactly(3L, 4L, 5L, 6L, 7L, 8L, 9L, 10L);
    }
    try (var listener = hub.listenAfter(42, () -> {})) { // an id of an earlier hub
      assertThat(listener.missed()).isPositive();
      assertThat(read(listener)).hasSize(8);
    }
    try (var listener = hub.listenAfter(Long.MAX_VALUE, () -> {})) {
      publish(11);
      assertThat(read(listener)).containsExactly(11L);
    }
  }

  @Test
  void aSlowListenerIsCutOffAndOthersAreNot() throws InterruptedException {
    AtomicInteger cut = new AtomicInteger();
    try (var slow = hub.listen(cut::incrementAndGet);
        var quick = hub.listen(() -> cut.addAndGet(100))) {
      for (long i = 0; i < 8; i++) {
        publish(i);
        assertThat(read(quick)).containsExactly(i);
      }
      assertThat(slow.state()).isEqualTo(State.LISTENING);
      publish(8);
      assertThat(read(quick)).containsExactly(8L);
      assertThat(slow.state()).isEqualTo(State.CUT_OFF);
      assertThat(slow.next(LONG)).isNull();
    }
    assertThat(cut.get()).isEqualTo(1);
    assertThat(hub.cutOff()).isEqualTo(1);
    assertThat(hub.counters()).hasSize(3);
  }

  @Test
  void closingTheHubEndsListenersAfterWhatTheyHaveNotRead() throws InterruptedException {
    AtomicReference<List<Long>> heard = new AtomicReference<>();
    try (var listener = hub.listen(() -> {});
        var waiting = hub.listen(() -> {})) {
      Thread thread = Thread.ofVirtual().start(() -> heard.set(readToTheEnd(waiting)));
      publish(1, 2);
      hub.close();
      thread.join();
      assertThat(heard.get()).containsExactly(1L, 2L);
      assertThat(readToTheEnd(listener)).containsExactly(1L, 2L);
      assertThat(listener.state()).isEqualTo(State.CLOSED);
    }
    publish(3);
    assertThat(hub.listen(() -> {}).state()).isEqualTo(State.CLOSED);
  }

  @Test
  void closingAListenerWakesItsThread() throws InterruptedException {
    var listener = hub.listen(() -> {});
    Thread thread = Thread.ofVirtual().start(() -> readToTheEnd(listener));
    listener.close();
    thread.join();
    publish(1);
    assertThat(listener.next(LONG)).isNull();
  }

  @Test
  void manyPublishersAndListenersSeeOneOrder() throws InterruptedException {
    NoticeHub wide = new NoticeHub(() -> 0);
    List<AtomicReference<List<Long>>> all = new ArrayList<>();
    List<Thread> readers = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      AtomicReference<List<Long>> heard = new AtomicReference<>();
      all.add(heard);
      var listener = wide.listen(() -> {});
      readers.add(Thread.ofVirtual().start(() -> heard.set(readToTheEnd(listener))));
    }
    List<Thread> writers = new ArrayList<>();
    for (int w = 0; w < 4; w++) {
      long base = w * 1000L;
      writers.add(
          Thread.ofVirtual()
              .start(() -> {
                for (int i = 0; i < 1000; i++) {
                  wide.publish(notice(base + i));
                }
              }));
    }
    for (Thread writer : writers) {
      writer.join();
    }
    wide.close();
    for (Thread reader : readers) {
      reader.join();
    }
    for (var heard : all) {
      assertThat(heard.get()).hasSize(4000).isEqualTo(all.getFirst().get());
    }
  }

  private void publish(long... leases) {
    for (long lease : leases) {
      hub.publish(notice(lease));
    }
  }

  private static Notice notice(long lease) {
    return new Notice.Staged(1, "vm1", "web", "debian12", lease, 1, 65_536);
  }

  private static List<Long> read(NoticeHub.Listener listener) throws InterruptedException {
    List<Long> leases = new ArrayList<>();
    for (NoticeHub.Entry entry; (entry = listener.next(Duration.ZERO)) != null; ) {
      leases.add(((Notice.Staged) entry.notice()).leaseId());
    }
    return leases;
  }

  private static List<Long> readToTheEnd(NoticeHub.Listener listener) {
    List<Long> leases = new ArrayList<>();
    try {
      for (NoticeHub.Entry entry; (entry = listener.next(LONG)) != null; ) {
        leases.add(((Notice.Staged) entry.notice()).leaseId());
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    return leases;
  }
}
