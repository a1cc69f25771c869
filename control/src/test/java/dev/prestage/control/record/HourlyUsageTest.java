package dev.prestage.control.record;

import static dev.prestage.control.record.Accesses.START;
import static dev.prestage.control.record.Accesses.eventually;
import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.control.aggregate.TopAccesses;
import dev.prestage.control.aggregate.Usage;
import dev.prestage.control.command.Command;
import dev.prestage.control.command.Reply;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class HourlyUsageTest {
  private static final long HOUR = Usage.HOUR_NANOS;
  private static final AccessHistory.Selection ALL =
      new AccessHistory.Selection(null, null, null, START, START + 10 * HOUR);

  @TempDir private Path folder = Path.of("");

  private final Random random = new Random(5);
  private final List<Binding> disks =
      List.of(Accesses.disk("vm1", "web"), Accesses.disk("vm2", "web"), Accesses.disk("vm3", "db"));
  private QuestDbHistory rows;
  private HourlyUsage usage;

  @BeforeEach
  void open() {
    rows = new QuestDbHistory(folder.resolve("rows"));
    usage = new HourlyUsage(folder.resolve("usage"), rows, START);
  }

  @AfterEach
  void close() {
    usage.close();
    rows.close();
  }

  private void reopen(long nowNanos) {
    close();
    rows = new QuestDbHistory(folder.resolve("rows"));
    usage = new HourlyUsage(folder.resolve("usage"), rows, nowNanos);
  }

  private void touch(long timeNanos) {
    Binding disk = disks.get(random.nextInt(disks.size()));
    var access = Accesses.at(timeNanos, random.nextInt(50));
    rows.append(access, disk);
    usage.add(access, disk);
  }

  private void touchAllOf(int hour) {
    for (int i = 0; i < 500; i++) {
      touch(START + hour * HOUR + i * (HOUR / 500));
    }
    rows.commit();
  }

  /// From the rows of all hours.
  private Reply.Top ofRows(Command.By by) {
    var top = new TopAccesses(by, Usage.BURST_GAP_NANOS);
    rows.scan(ALL, top);
    return top.reply(200);
  }

  /// From what hours add up to.
  private Reply.Top ofHours(Command.By by, int hours) {
    var top = new TopAccesses(by, Usage.BURST_GAP_NANOS);
    List<Usage> found = between(ALL.fromNanos(), ALL.toNanos());
    assertThat(found).hasSize(hours);
    found.forEach(hour -> top.add(hour, ALL));
    return top.reply(200);
  }

  private List<Usage> between(long from, long to) {
    List<Usage> found = new ArrayList<>();
    usage.between(from, to).forEachRemaining(found::add);
    return found;
  }

  /// What is counted in the background is taken at the next look.
  private void tendUntilCounted(long nowNanos) {
    eventually(
        "the hour is counted",
        () -> {
          usage.tend(nowNanos);
          return !between(START, START + HOUR).isEmpty();
        });
  }

  @Test
  void hoursAddUpToWhatTheirRowsDo() {
    touchAllOf(0);
    touchAllOf(1);
    touchAllOf(2);
    usage.tend(START + 2 * HOUR + HOUR / 2);
    assertThat(folder.resolve("usage")).isDirectoryContaining("glob:**/2026-01-01T01");
    for (Command.By by : Command.By.values()) {
      assertThat(ofHours(by, 3)).isEqualTo(ofRows(by));
    }
    assertThat(ofRows(Command.By.VM).touches()).isEqualTo(1500);
  }

  @Test
  void anHourOutlivesItsRows() {
    touchAllOf(0);
    touchAllOf(1);
    usage.tend(START + 2 * HOUR);
    Reply.Top before = ofRows(Command.By.RESOURCE);
    assertThat(rows.trim(START + HOUR, Long.MAX_VALUE)).isEqualTo(500);
    reopen(START + 2 * HOUR);
    usage.tend(START + 2 * HOUR);
    assertThat(ofHours(Command.By.RESOURCE, 2)).isEqualTo(before);
  }

  @Test
  void anHourInWhichTheProcessEndedIsCountedFromItsRows() {
    touchAllOf(0);
    reopen(START + HOUR / 2);
    assertThat(ofHours(Command.By.PROGRAM, 1)).isEqualTo(ofRows(Command.By.PROGRAM));
    touchAllOf(0);
    assertThat(ofHours(Command.By.TYPE, 1).touches()).isEqualTo(1000);
  }

  @Test
  void anHourThatWasNeverWrittenIsCountedInTheBackground() {
    touchAllOf(0);
    reopen(START + 5 * HOUR);
    assertThat(between(ALL.fromNanos(), ALL.toNanos())).isEmpty();
    tendUntilCounted(START + 5 * HOUR);
    assertThat(ofHours(Command.By.VM, 1)).isEqualTo(ofRows(Command.By.VM));
  }

  @Test
  void whatComesAfterAnHourWasWrittenIsAddedToIt() {
    touchAllOf(0);
    usage.tend(START + 2 * HOUR);
    touch(START + 5);
    rows.commit();
    assertThat(ofHours(Command.By.VM, 1).touches()).isEqualTo(501);
    usage.tend(START + 2 * HOUR);
    reopen(START + 2 * HOUR);
    assertThat(ofHours(Command.By.VM, 1).touches()).isEqualTo(501);
  }

  @Test
  void rowsOfAnHourBeforeTheNewestWhichHasNoFileLeaveItToItsRows() {
    touchAllOf(3);
    touch(START + 1);
    rows.commit();
    assertThat(between(START, START + HOUR)).isEmpty();
    tendUntilCounted(START + 3 * HOUR);
    assertThat(ofHours(Command.By.VM, 2)).isEqualTo(ofRows(Command.By.VM));
  }

  @Test
  void anHourUnderWayIsNoPartOfATimeBeforeIt() {
    touchAllOf(0);
    assertThat(between(START - HOUR, START)).isEmpty();
    Usage ahead = Usage.ofHour(START + HOUR);
    assertThat(ahead.lastNanos()).isEqualTo(Long.MIN_VALUE);
  }

  @Test
  void aDamagedFileIsCountedAgain() throws IOException {
    touchAllOf(0);
    usage.tend(START + 2 * HOUR);
    Path file = folder.resolve("usage").resolve("2026-01-01T00");
    byte[] bytes = Files.readAllBytes(file);
    for (int length : new int[] {0, 1, 40, bytes.length / 2, bytes.length - 1}) {
      Files.write(file, Arrays.copyOf(bytes, length));
      assertThat(between(START, START + HOUR)).isEmpty();
      tendUntilCounted(START + 2 * HOUR);
    }
    assertThat(ofHours(Command.By.RESOURCE, 1)).isEqualTo(ofRows(Command.By.RESOURCE));
  }

  @Test
  void anHourIsWholeOrLookedUpInItsRows() {
    touchAllOf(0);
    usage.tend(START + 2 * HOUR);
    assertThat(between(START + 1, START + HOUR)).isEmpty();
    assertThat(between(START, START + HOUR - 1)).isEmpty();
    assertThat(between(START, START + HOUR)).hasSize(1);
  }

  @Test
  void oldHoursGoByAgeAndBySize() {
    touchAllOf(0);
    touchAllOf(1);
    usage.tend(START + 3 * HOUR);
    assertThat(usage.trim(START + HOUR, Long.MAX_VALUE)).isEqualTo(1);
    assertThat(between(START, START + 3 * HOUR)).hasSize(1);
    assertThat(usage.trim(0, 100)).isEqualTo(1);
    assertThat(between(START, START + 3 * HOUR)).isEmpty();
  }
}
