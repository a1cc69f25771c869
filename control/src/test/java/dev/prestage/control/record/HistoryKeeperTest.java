package dev.prestage.control.record;

import static dev.prestage.control.record.Accesses.START;
import static dev.prestage.control.record.Accesses.at;
import static dev.prestage.control.record.Accesses.disk;
import static dev.prestage.control.record.Accesses.eventually;
import static dev.prestage.control.record.Accesses.query;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.stage.Notice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Damaged files, full disks and old rows of the history.
final class HistoryKeeperTest {
  private static final Binding VM1 = disk("vm1", "web");
  private static final Duration HOUR = Duration.ofHours(1);
  private static final HistoryKeeper.Retention ALL =
      new HistoryKeeper.Retention(Duration.ofDays(3650), Long.MAX_VALUE, Duration.ofDays(3650));

  @TempDir Path state;
  private final AtomicLong now = new AtomicLong(START);
  private final AtomicLong usableBytes = new AtomicLong(Long.MAX_VALUE);
  private final List<Notice> notices = Collections.synchronizedList(new ArrayList<>());
  private Path folder = Path.of("");

  @BeforeEach
  void name() {
    folder = state.resolve("history");
  }

  private HistoryKeeper keeper(boolean crashed, HistoryKeeper.Retention retention) {
    return new HistoryKeeper(
        folder, retention, crashed, now::get, notices::add, _ -> usableBytes.get());
  }

  private HistoryKeeper keeper(boolean crashed) {
    return keeper(crashed, ALL);
  }

  private static void write(AccessHistory history, long timeNanos, int rows) {
    for (int i = 0; i < rows; i++) {
      history.append(at(timeNanos + i, i), VM1);
    }
    history.commit();
  }

  /// What a process leaves that ends with the history open: everything but the lock of the folder.
  private void end(AccessHistory history) throws IOException {
    Path copy = state.resolve("copy");
    copy(folder, copy);
    history.close();
    remove(folder);
    Files.move(copy, folder);
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file)), StandardCopyOption.COPY_ATTRIBUTES);
      }
    }
  }

  private static void remove(Path tree) throws IOException {
    try (Stream<Path> files = Files.walk(tree)) {
      for (Path file : files.toList().reversed()) {
        Files.delete(file);
      }
    }
  }

  private Path aside() {
    return state.resolve("history.damaged-1");
  }

  // ---- crashes

  @Test
  void atTheSecondCrashInARowTheFolderIsPutAsideAndANewHistoryBegins() throws Exception {
    AccessHistory first = keeper(false).open();
    write(first, START, 3);
    end(first);
    AccessHistory second = keeper(true).open();
    assertThat(second.find(query(null, null, 9))).hasSize(3);
    end(second);
    HistoryKeeper keeper = keeper(true);
    try (AccessHistory third = keeper.open()) {
      assertThat(third.find(query(null, null, 9))).isEmpty();
      write(third, START, 1);
    }
    assertThat(aside().resolve("db")).isDirectory();
    assertThat(keeper.trouble()).contains("crashed 2 times in a row", "history.damaged-1");
    assertThat(notices).singleElement().isInstanceOf(Notice.Degraded.class);
    now.addAndGet(HOUR.toNanos());
    assertThat(keeper.trouble()).isEmpty();
  }

  @Test
  void aProcessThatWasKilledDidNotCrash() throws Exception {
    for (int i = 0; i < 4; i++) {
      AccessHistory history = keeper(i == 1).open();
      write(history, START + i, 1);
      end(history);
    }
    try (AccessHistory history = keeper(false).open()) {
      assertThat(history.find(query(null, null, 9))).hasSize(4);
    }
    assertThat(aside()).doesNotExist();
  }

  @Test
  void aCrashAfterACleanCloseOrALongTimeOfWritingIsTheFirst() throws Exception {
    AccessHistory first = keeper(false).open();
    write(first, START, 1);
    end(first);
    keeper(true).open().close();
    AccessHistory second = keeper(true).open();
    end(second);
    AccessHistory third = keeper(true).open();
    now.addAndGet(HOUR.toNanos());
    write(third, now.get(), 1);
    end(third);
    AccessHistory fourth = keeper(true).open();
    assertThat(fourth.find(query(null, null, 9))).hasSize(2);
    fourth.close();
    assertThat(aside()).doesNotExist();
  }

  // ---- damage that is an error

  @Test
  void aFolderThatCannotBeOpenedThreeTimesIsPutAsideByItself() throws Exception {
    try (AccessHistory history = keeper(false).open()) {
      write(history, START, 3);
    }
    Files.writeString(folder.resolve("version"), "nonsense");
    HistoryKeeper keeper = keeper(false);
    try (var writer = new HistoryWriter(keeper, now::get, notices::add)) {
      for (int failure = 1; failure <= 3; failure++) {
        int seen = failure;
        eventually("failure " + failure, () -> writer.failures() >= seen);
        now.addAndGet(Duration.ofMinutes(1).toNanos());
      }
      eventually("a new history", () -> writer.health().equals("ok"));
    }
    assertThat(aside()).isDirectory();
    assertThat(keeper.trouble()).contains("damaged version file", "put aside");
  }

  @Test
  void aFolderOfANewerVersionIsNeverPutAside() throws Exception {
    Files.createDirectories(folder);
    Files.writeString(folder.resolve("version"), "prestage-history 99");
    HistoryKeeper keeper = keeper(false);
    for (int i = 0; i < 5; i++) {
      assertThatThrownBy(keeper::open).hasMessageContaining("written by a newer Prestage");
    }
    assertThat(aside()).doesNotExist();
  }

  @Test
  void rowsThatAreGoneAreCountedAndSaid() throws Exception {
    Path before = state.resolve("before");
    try (AccessHistory history = keeper(false).open()) {
      write(history, START, 3);
    }
    copy(folder.resolve("db"), before);
    try (AccessHistory history = keeper(false).open()) {
      write(history, START + 10, 4);
    }
    remove(folder.resolve("db"));
    copy(before, folder.resolve("db"));
    HistoryKeeper keeper = keeper(false);
    keeper.open().close();
    assertThat(keeper.trouble()).contains("has lost 4 of 7 rows");
    assertThat(keeper.counters())
        .anySatisfy(counter -> {
          assertThat(counter.name()).isEqualTo("history_lost_rows");
          assertThat(counter.value()).isEqualTo(4);
        });
    HistoryKeeper next = keeper(false);
    next.open().close();
    assertThat(next.trouble()).as("said once").isEmpty();
  }

  // ---- full disks

  @Test
  void aFullDiskIsWaitedForAndHistoryGoesOnWhenSpaceReturns() throws Exception {
    usableBytes.set(HistoryKeeper.NEEDED_BYTES - 1);
    try (var writer = new HistoryWriter(keeper(false), now::get, notices::add)) {
      eventually("it waits", () -> writer.health().contains("waits for space"));
      usableBytes.set(HistoryKeeper.NEEDED_BYTES);
      now.addAndGet(Duration.ofMinutes(1).toNanos());
      eventually("it opens", () -> writer.health().equals("ok"));
      writer.offer(at(START, 1), VM1);
      assertThat(writer.flush(Duration.ofSeconds(30))).isTrue();
      usableBytes.set(0);
      writer.offer(at(START, 2), VM1);
      assertThat(writer.flush(Duration.ofSeconds(30))).isFalse();
      assertThat(writer.health()).contains("waits for space");
      assertThat(writer.dropped()).isEqualTo(1);
      usableBytes.set(Long.MAX_VALUE);
      now.addAndGet(Duration.ofMinutes(1).toNanos());
      eventually("it opens again", () -> writer.health().equals("ok"));
      writer.offer(at(START, 3), VM1);
      assertThat(writer.flush(Duration.ofSeconds(30))).isTrue();
      assertThat(writer.find(query(null, null, 9))).hasSize(2);
    }
    assertThat(aside()).doesNotExist();
  }

  // ---- retention

  @Test
  void hoursThatAreTooOldAreDropped() {
    var retention =
        new HistoryKeeper.Retention(HOUR.multipliedBy(3), Long.MAX_VALUE, Duration.ofDays(3650));
    HistoryKeeper keeper = keeper(false, retention);
    try (AccessHistory history = keeper.open()) {
      for (int hour = 0; hour < 6; hour++) {
        write(history, START + hour * HOUR.toNanos(), 10);
      }
      now.set(START + 5 * HOUR.toNanos() + HOUR.toNanos() / 2);
      history.tend();
      assertThat(history.find(query(null, null, 100)))
          .hasSize(40)
          .first()
          .extracting(AccessHistory.Row::timeNanos)
          .isEqualTo(START + 2 * HOUR.toNanos());
    }
    assertThat(keeper.counters())
        .anySatisfy(counter -> {
          assertThat(counter.name()).isEqualTo("history_expired_rows");
          assertThat(counter.value()).isEqualTo(20);
        });
    HistoryKeeper next = keeper(false, retention);
    next.open().close();
    assertThat(next.trouble()).as("what was dropped is not lost").isEmpty();
  }

  @Test
  void theOldestHoursAreDroppedUntilTheRestFits() throws Exception {
    try (AccessHistory history = keeper(false).open()) {
      for (int hour = 0; hour < 6; hour++) {
        write(history, START + hour * HOUR.toNanos(), 20_000);
      }
    }
    long before = size();
    now.set(START + 6 * HOUR.toNanos());
    var retention =
        new HistoryKeeper.Retention(Duration.ofDays(3650), before * 2 / 3, Duration.ofDays(3650));
    try (AccessHistory history = keeper(false, retention).open()) {
      history.tend();
      List<AccessHistory.Row> rows = history.find(query(null, null, 200_000));
      assertThat(rows.size()).isBetween(20_000, 100_000);
      assertThat(rows.getLast().timeNanos())
          .as("the newest stay")
          .isGreaterThan(START + 5 * HOUR.toNanos());
    }
    assertThat(size()).isLessThan(before);
  }

  @Test
  void hoursThatAreDroppedWhileTheyAreReadAreReadToTheEndAndThenTakeNoSpace() throws Exception {
    var retention = new HistoryKeeper.Retention(HOUR, Long.MAX_VALUE, Duration.ofDays(3650));
    try (AccessHistory history = keeper(false, retention).open()) {
      for (int hour = 0; hour < 4; hour++) {
        write(history, START + hour * HOUR.toNanos(), 20_000);
      }
      now.set(START + 3 * HOUR.toNanos() + HOUR.toNanos() / 2);
      List<Long> seen = new ArrayList<>();
      history.scan(
          new AccessHistory.Selection(null, null, null, 0, Long.MAX_VALUE),
          row -> {
            if (seen.isEmpty()) {
              history.tend();
            }
            seen.add(row.timeNanos());
            return true;
          });
      assertThat(seen).hasSize(80_000).isSorted();
      assertThat(history.find(query(null, null, 100_000))).hasSize(40_000);
      now.addAndGet(Duration.ofMinutes(1).toNanos());
      history.tend();
      assertThat(hours()).as("folders of hours").hasSize(2);
    }
  }

  private List<Path> hours() throws IOException {
    try (Stream<Path> entries = Files.list(folder.resolve("db").resolve(AccessTable.NAME))) {
      return entries
          .filter(Files::isDirectory)
          .filter(entry -> Character.isDigit(entry.getFileName().toString().charAt(0)))
          .toList();
    }
  }

  private long size() throws IOException {
    try (Stream<Path> files = Files.walk(folder.resolve("db"))) {
      return files.mapToLong(file -> file.toFile().length()).sum();
    }
  }
}
