package dev.prestage.control.record;

import static dev.prestage.control.record.Accesses.START;
import static dev.prestage.control.record.Accesses.at;
import static dev.prestage.control.record.Accesses.disk;
import static dev.prestage.control.record.Accesses.query;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import io.questdb.cairo.CairoEngine;
import io.questdb.cairo.DefaultCairoConfiguration;
import io.questdb.cairo.security.AllowAllSecurityContext;
import io.questdb.griffin.SqlExecutionContextImpl;
import io.questdb.griffin.engine.functions.bind.BindVariableServiceImpl;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class QuestDbHistoryTest {
  private static final long HALF_HOUR = 1_800_000_000_000L;

  @TempDir Path folder;

  private static final Binding WEB = disk("vm1", "web");

  @Test
  void everyFieldOfAnAccessComesBack() {
    Access access =
        new Access(
            1,
            1,
            Resource.of(7, 4711),
            START + 123_456_789,
            AccessType.WRITE,
            65_536,
            Cause.PREFETCH,
            true,
            987_654_321);
    try (var history = new QuestDbHistory(folder)) {
      history.append(access, WEB);
      history.commit();
      assertThat(history.find(query(null, null, 10)))
          .containsExactly(
              new AccessHistory.Row(
                  START + 123_456_789,
                  "default",
                  "web",
                  "vm1",
                  ResourceType.FILE_BLOCK,
                  "debian12",
                  4711,
                  AccessType.WRITE,
                  65_536,
                  Cause.PREFETCH,
                  true,
                  987_654_321,
                  1));
    }
  }

  @Test
  void whatIsNotCommittedIsNotSeenAndGoneAfterClosing() {
    try (var history = new QuestDbHistory(folder)) {
      history.append(at(START, 1), WEB);
      history.commit();
      history.append(at(START + 1, 2), WEB);
      assertThat(history.find(query(null, null, 10))).hasSize(1);
    }
    try (var history = new QuestDbHistory(folder)) {
      assertThat(history.find(query(null, null, 10))).hasSize(1);
      history.append(at(START + 2, 3), WEB);
      history.commit();
      assertThat(indices(history, query(null, null, 10))).containsExactly(1L, 3L);
    }
  }

  @Test
  void queriesSelectByProgramVmAndTimeOldestFirstAndKeepTheNewest() {
    try (var history = new QuestDbHistory(folder)) {
      for (int i = 0; i < 100; i++) {
        Binding vm = disk("vm" + i % 4, i % 2 == 0 ? "web" : "batch");
        history.append(at(START + i, i), vm);
      }
      history.commit();
      assertThat(indices(history, query("web", null, 3))).containsExactly(94L, 96L, 98L);
      assertThat(indices(history, query(null, "vm3", 2))).containsExactly(95L, 99L);
      assertThat(indices(history, query("batch", "vm1", 2))).containsExactly(93L, 97L);
      assertThat(indices(history, query("web", "vm1", 2))).isEmpty();
      assertThat(indices(history, query("nobody", null, 2))).isEmpty();
      assertThat(indices(history, query(null, null, 0))).isEmpty();
      var window = new AccessHistory.Query(null, null, START + 10, START + 13, 100);
      assertThat(indices(history, window)).containsExactly(10L, 11L, 12L);
    }
  }

  @Test
  void namesAreDataNeverSql() {
    String odd = "x' OR '1'='1\"; DROP TABLE access; -- \n\u00e4\u4e16$1";
    try (var history = new QuestDbHistory(folder)) {
      history.append(at(START, 1), WEB);
      history.append(at(START + 1, 2), disk(odd, odd));
      history.commit();
      assertThat(indices(history, query(odd, null, 10))).containsExactly(2L);
      assertThat(indices(history, query(null, odd, 10))).containsExactly(2L);
      assertThat(history.find(query(odd, odd, 10)).getFirst().vm()).isEqualTo(odd);
      assertThat(indices(history, query("' OR 1=1 --", null, 10))).isEmpty();
      assertThat(indices(history, query(null, null, 10))).containsExactly(1L, 2L);
    }
  }

  @Test
  void lateAccessesAreSortedIn() {
    try (var history = new QuestDbHistory(folder)) {
      for (int round = 0; round < 5; round++) {
        for (int i = 9; i >= 0; i--) {
          history.append(at(START + i * 3_600_000_000_000L + round, i * 5L + round), WEB);
        }
        history.commit();
      }
      List<AccessHistory.Row> rows = history.find(query(null, null, 100));
      assertThat(rows).hasSize(50);
      assertThat(rows).extracting(AccessHistory.Row::timeNanos).isSorted();
      assertThat(rows).extracting(AccessHistory.Row::resource).isSorted();
    }
  }

  @Test
  void anyThreadAsksWhileOneAppends() throws InterruptedException {
    try (var history = new QuestDbHistory(folder)) {
      AtomicBoolean done = new AtomicBoolean();
      AtomicReference<Throwable> failure = new AtomicReference<>();
      Runnable ask =
          () -> {
            try {
              for (int seen = 0; !done.get(); ) {
                int now = history.find(query("web", null, 1_000_000)).size();
                assertThat(now).isGreaterThanOrEqualTo(seen).isLessThanOrEqualTo(50_000);
                assertThat(now % 1000).isZero();
                seen = now;
              }
            } catch (Throwable e) {
              failure.set(e);
            }
          };
      Thread one = Thread.ofPlatform().start(ask);
      Thread other = Thread.ofVirtual().start(ask);
      for (int i = 1; i <= 50_000; i++) {
        history.append(at(START + i, i), WEB);
        if (i % 1000 == 0) {
          history.commit();
        }
      }
      done.set(true);
      one.join();
      other.join();
      assertThat(failure.get()).isNull();
    }
  }

  @Test
  void aKilledProcessLosesAtMostTheOpenBatchAndSaysNothingOnItsOwn() throws Exception {
    Path errors = folder.resolve("errors");
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-cp",
                System.getProperty("java.class.path"),
                AppendUntilKilled.class.getName(),
                folder.resolve("history").toString())
            .redirectError(errors.toFile())
            .start();
    long reported = 0;
    try (BufferedReader lines = child.inputReader(StandardCharsets.UTF_8)) {
      for (String line; (line = lines.readLine()) != null; ) {
        reported = Long.parseLong(line); // only numbers: QuestDB must not talk on our output
        if (reported == 50L * AppendUntilKilled.BATCH) {
          child.toHandle().destroyForcibly(); // leaves the pipe readable
        }
      }
    }
    child.waitFor();
    assertThat(Files.readString(errors)).isEmpty();
    try (var history = new QuestDbHistory(folder.resolve("history"))) {
      List<AccessHistory.Row> rows = history.find(query(null, null, 10_000_000));
      assertThat((long) rows.size())
          .isBetween(reported, reported + AppendUntilKilled.BATCH)
          .isGreaterThanOrEqualTo(50L * AppendUntilKilled.BATCH);
      for (int i = 0; i < rows.size(); i++) {
        AccessHistory.Row row = rows.get(i);
        assertThat(row.resource()).isEqualTo(i);
        assertThat(row.timeNanos()).isEqualTo(START + i * 1_000_000L);
        assertThat(row.vm()).isEqualTo("vm1");
      }
      history.append(at(START - 1, 77), WEB);
      history.commit();
      assertThat(history.find(query(null, null, 10_000_000))).hasSize(rows.size() + 1);
    }
  }

  @Test
  void aSecondHistoryOnOneFolderIsRefused() {
    try (var _ = new QuestDbHistory(folder)) {
      assertThatThrownBy(() -> new QuestDbHistory(folder))
          .isInstanceOf(HistoryException.class)
          .hasMessageContaining(folder.toString())
          .hasMessageContaining("in use by another process");
    }
    new QuestDbHistory(folder).close();
  }

  @Test
  void aFolderThatCannotBeWrittenIsRefused() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    assertThatThrownBy(() -> new QuestDbHistory(file.resolve("history")))
        .isInstanceOf(HistoryException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining("cannot be written")
        .hasMessageContaining("writable");
  }

  /// As version 1 made it, whose rows knew no run.
  private void makeVersion1() throws Exception {
    makeOlder(
        1,
        "",
        START
            + "::TIMESTAMP_NS, 'default', 'web', 'vm1', 'file-block', 'debian12', 5, 'READ', 4096,"
            + " 'DEMAND', true, 77");
  }

  /// As version 2 made it: two accesses in each of three hours.
  private void makeVersion2() throws Exception {
    String[] rows = new String[6];
    for (int i = 0; i < rows.length; i++) {
      rows[i] =
          (START + i * HALF_HOUR)
              + "::TIMESTAMP_NS, 'default', 'web', 'vm1', 'file-block', 'debian12', "
              + i
              + ", 'READ', 4096, 'DEMAND', true, 77, 9";
    }
    makeOlder(2, ", run LONG", rows);
  }

  private void makeOlder(int version, String moreColumns, String... rows) throws Exception {
    Files.createDirectories(folder.resolve("db"));
    Files.writeString(folder.resolve("version"), "prestage-history " + version + "\n");
    var configuration = new DefaultCairoConfiguration(folder.resolve("db").toString());
    try (var engine = new CairoEngine(configuration);
        var context =
            new SqlExecutionContextImpl(engine, 0)
                .with(
                    AllowAllSecurityContext.INSTANCE, new BindVariableServiceImpl(configuration))) {
      engine.execute(
          """
          CREATE TABLE access (
            time TIMESTAMP_NS, tenant SYMBOL, program SYMBOL, vm SYMBOL, type SYMBOL, space SYMBOL,
            resource LONG, access SYMBOL, size INT, cause SYMBOL, waited BOOLEAN, latency LONG
          """
              + moreColumns
              + ") TIMESTAMP(time) PARTITION BY HOUR BYPASS WAL",
          context);
      for (String row : rows) {
        engine.execute("INSERT INTO access VALUES (" + row + ")", context);
      }
    }
  }

  @Test
  void rowsOfTheSecondVersionStandAmongTheNewOnes() throws Exception {
    makeVersion2();
    try (var history = new QuestDbHistory(folder)) {
      // Late ones, one at the time of an older row, and one after all of them.
      for (long index : new long[] {11, 12, 16}) {
        history.append(at(START + (index - 10) * HALF_HOUR + index % 2, index), WEB);
      }
      history.commit();
      assertThat(history.rows()).isEqualTo(9);
      assertThat(history.hours())
          .containsExactly(
              START, START + 2 * HALF_HOUR, START + 4 * HALF_HOUR, START + 6 * HALF_HOUR);
      assertThat(scanned(history, 100)).containsExactly(0L, 1L, 11L, 2L, 12L, 3L, 4L, 5L, 16L);
      assertThat(scanned(history, 3)).containsExactly(0L, 1L, 11L);
      assertThat(scanned(history, 1)).containsExactly(0L);
      assertThat(indices(history, query(null, null, 100)))
          .containsExactly(0L, 1L, 11L, 2L, 12L, 3L, 4L, 5L, 16L);
      assertThat(indices(history, query("web", "vm1", 4))).containsExactly(3L, 4L, 5L, 16L);
      assertThat(history.find(query(null, null, 4)).getFirst().run()).isEqualTo(9);
    }
    assertThat(folder.resolve("version")).hasContent("prestage-history 3\n");
  }

  @Test
  void anOlderTableGoesWithItsLastHour() throws Exception {
    makeVersion2();
    try (var history = new QuestDbHistory(folder)) {
      history.append(at(START + 6 * HALF_HOUR, 16), WEB);
      history.commit();
      assertThat(history.trim(START + 2 * HALF_HOUR, 1L << 40)).isEqualTo(2);
      assertThat(scanned(history, 100)).containsExactly(2L, 3L, 4L, 5L, 16L);
      assertThat(history.trim(START + 6 * HALF_HOUR, 1L << 40)).isEqualTo(4);
      assertThat(scanned(history, 100)).containsExactly(16L);
      assertThat(folder.resolve("db").resolve(AccessTable.OLDER)).doesNotExist();
      history.append(at(START + 6 * HALF_HOUR + 1, 17), WEB);
      history.commit();
    }
    try (var history = new QuestDbHistory(folder)) {
      assertThat(indices(history, query(null, null, 100))).containsExactly(16L, 17L);
    }
  }

  @Test
  void aTableThatAKillLeftHalfMadeIsMadeAnew() throws Exception {
    makeVersion2();
    Path half = Files.createDirectories(folder.resolve("db").resolve(AccessTable.NAME));
    Files.write(half.resolve("_txn"), new byte[10]);
    try (var history = new QuestDbHistory(folder)) {
      assertThat(scanned(history, 100)).containsExactly(0L, 1L, 2L, 3L, 4L, 5L);
    }
  }

  @Test
  void anOlderTableThatAKillLeftHalfRemovedIsNoDamage() throws Exception {
    makeVersion2();
    try (var history = new QuestDbHistory(folder)) {
      history.append(at(START + 6 * HALF_HOUR, 16), WEB);
      history.commit();
    }
    Files.createFile(folder.resolve("older-is-over"));
    Files.delete(folder.resolve("db").resolve(AccessTable.OLDER).resolve("_meta"));
    try (var history = new QuestDbHistory(folder)) {
      assertThat(indices(history, query(null, null, 100))).containsExactly(16L);
    }
    assertThat(folder.resolve("db").resolve(AccessTable.OLDER)).doesNotExist();
    assertThat(folder.resolve("older-is-over")).doesNotExist();
  }

  @Test
  void theOlderTableMakesRoomFirst() throws Exception {
    makeVersion2();
    try (var history = new QuestDbHistory(folder)) {
      history.append(at(START, 10), WEB);
      history.append(at(START + 6 * HALF_HOUR, 16), WEB);
      history.commit();
      assertThat(history.trim(0, 100)).isEqualTo(7);
      assertThat(indices(history, query(null, null, 100))).containsExactly(16L);
    }
  }

  @Test
  void aScanSelectsByProgramVmTypeAndTime() {
    try (var history = new QuestDbHistory(folder)) {
      for (int i = 0; i < 100; i++) {
        history.append(
            at(START + i * 600_000_000_000L, i), disk("vm" + i % 4, i % 2 == 0 ? "web" : "batch"));
      }
      history.commit();
      long from = START + 20 * 600_000_000_000L;
      long to = START + 30 * 600_000_000_000L;
      assertThat(
              scanned(
                  history,
                  new AccessHistory.Selection("web", "vm2", ResourceType.FILE_BLOCK, from, to + 1)))
          .containsExactly(22L, 26L, 30L);
      assertThat(scanned(history, new AccessHistory.Selection("batch", null, null, from, to)))
          .containsExactly(21L, 23L, 25L, 27L, 29L);
      assertThat(
              scanned(
                  history,
                  new AccessHistory.Selection(null, null, ResourceType.MEMORY_PAGE, from, to)))
          .isEmpty();
      assertThat(scanned(history, new AccessHistory.Selection(null, null, null, to, from)))
          .isEmpty();
    }
  }

  @Test
  void aHistoryOfTheFirstVersionIsReadAndGoesOn() throws Exception {
    makeVersion1();
    for (int opened = 0; opened < 2; opened++) {
      try (var history = new QuestDbHistory(folder)) {
        history.append(at(START + 1 + opened, 6), WEB);
        history.commit();
        assertThat(history.find(query(null, null, 10)).getFirst())
            .isEqualTo(
                new AccessHistory.Row(
                    START,
                    "default",
                    "web",
                    "vm1",
                    ResourceType.FILE_BLOCK,
                    "debian12",
                    5,
                    AccessType.READ,
                    4096,
                    Cause.DEMAND,
                    true,
                    77,
                    Access.NO_RUN));
        assertThat(history.find(query(null, null, 10)).getLast().run()).isEqualTo(1);
      }
    }
    assertThat(folder.resolve("version")).hasContent("prestage-history 3\n");
  }

  @Test
  void aFolderOfANewerVersionIsRefused() throws IOException {
    new QuestDbHistory(folder).close();
    Files.writeString(
        folder.resolve("version"), "prestage-history " + (QuestDbHistory.VERSION + 1) + "\n");
    assertThatThrownBy(() -> new QuestDbHistory(folder))
        .isInstanceOf(HistoryException.class)
        .hasMessageContaining("newer Prestage")
        .hasMessageContaining("upgrade");
  }

  @Test
  void aDamagedVersionOrAFolderOfSomethingElseIsRefused() throws IOException {
    new QuestDbHistory(folder).close();
    Files.write(folder.resolve("version"), new byte[] {(byte) 0xff, 0, 12});
    assertThatThrownBy(() -> new QuestDbHistory(folder))
        .isInstanceOf(HistoryException.class)
        .hasMessageContaining("damaged version file");
    Files.delete(folder.resolve("version"));
    assertThatThrownBy(() -> new QuestDbHistory(folder))
        .isInstanceOf(HistoryException.class)
        .hasMessageContaining("not ours or is damaged");
  }

  @Test
  void aDamagedTableIsOneClearErrorAndHoldsNothing() throws IOException {
    try (var history = new QuestDbHistory(folder)) {
      history.append(at(START, 1), WEB);
      history.commit();
    }
    for (String name : new String[] {"_meta", "_txn"}) {
      Path file = folder.resolve("db").resolve(AccessTable.NAME).resolve(name);
      byte[] good = Files.readAllBytes(file);
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
        channel.truncate(10);
      }
      assertThatThrownBy(() -> new QuestDbHistory(folder))
          .as(name)
          .isInstanceOf(HistoryException.class)
          .hasMessageContaining(folder.toString())
          .hasMessageContaining("move it away")
          .hasMessageNotContaining("\n");
      Files.write(file, good);
    }
    try (var history = new QuestDbHistory(folder)) {
      assertThat(indices(history, query(null, null, 10))).containsExactly(1L);
    }
  }

  @Test
  void aClosedHistoryRefusesQuestions() {
    var history = new QuestDbHistory(folder);
    history.close();
    history.close();
    assertThatThrownBy(() -> history.find(query(null, null, 1)))
        .isInstanceOf(HistoryException.class)
        .hasMessageContaining("closed");
  }

  private static List<Long> scanned(QuestDbHistory history, int most) {
    List<Long> seen = new ArrayList<>();
    history.scan(
        new AccessHistory.Selection(null, null, null, 0, Long.MAX_VALUE),
        row -> {
          seen.add(row.resource());
          return seen.size() < most;
        });
    return seen;
  }

  private static List<Long> scanned(QuestDbHistory history, AccessHistory.Selection selection) {
    List<Long> seen = new ArrayList<>();
    history.scan(selection, row -> seen.add(row.resource()));
    return seen;
  }

  private static List<Long> indices(QuestDbHistory history, AccessHistory.Query query) {
    return history.find(query).stream().map(AccessHistory.Row::resource).toList();
  }
}
