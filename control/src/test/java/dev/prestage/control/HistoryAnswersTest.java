package dev.prestage.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;
import static org.assertj.core.api.Assertions.within;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.control.record.HistoryWriter;
import dev.prestage.control.record.QuestDbHistory;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What the history in a real database adds up to.
final class HistoryAnswersTest {
  /// 2026-01-01T00:00:00Z.
  private static final long START = 1_767_225_600_000_000_000L;

  private static final long MILLI = 1_000_000;
  private static final long SECOND = 1_000 * MILLI;
  private static final AccessHistory.Selection ALL = only(null, null, null);

  @TempDir Path folder;
  private HistoryWriter writer;
  private final Space disk =
      new Space(7, ResourceType.FILE_BLOCK, "default", "web.raw", Shape.blocks(1L << 30));
  private final Space database =
      new Space(
          8,
          ResourceType.NETWORK_CONNECTION,
          "default",
          "db:5432",
          new Shape(16, 1, Measure.CONNECTIONS, 16));

  @BeforeEach
  void open() {
    writer = new HistoryWriter(() -> new QuestDbHistory(folder), () -> START, _ -> {});
  }

  @AfterEach
  void close() {
    writer.close();
  }

  private static AccessHistory.Selection only(
      @Nullable String program, @Nullable String vm, @Nullable ResourceType type) {
    return new AccessHistory.Selection(program, vm, type, START, START + 3600 * SECOND);
  }

  private void touch(String vm, long run, Space space, long index, long atNanos) {
    access(vm, run, space, index, atNanos, AccessType.READ, Cause.DEMAND, false, MILLI);
  }

  private void access(
      String vm,
      long run,
      Space space,
      long index,
      long atNanos,
      AccessType type,
      Cause cause,
      boolean waited,
      long latencyNanos) {
    String program = vm.startsWith("web") ? "web" : "batch";
    Vm owner = new Vm(1, vm, new Program(1, "default", program));
    Binding binding = new Binding(1, owner, "disk0", space);
    long resource = Resource.of(space.id(), index);
    boolean taken =
        writer.offer(
            new Access(1, run, resource, START + atNanos, type, 1, cause, waited, latencyNanos),
            binding);
    assertThat(taken).isTrue();
  }

  private <T extends Reply> T ask(Class<T> kind, Command.HistoryQuestion question)
      throws Exception {
    assertThat(writer.flush(Duration.ofSeconds(30))).isTrue();
    return kind.cast(HistoryAnswers.to(question, sink()));
  }

  private ControlPlane.HistorySink sink() {
    return new ControlPlane.HistorySink() {
      @Override
      public void offer(Access access, Binding binding) {
        throw new IllegalStateException();
      }

      @Override
      public void forget(Vm vm) {}

      @Override
      public List<AccessHistory.Row> find(AccessHistory.Query query) throws Refusal {
        return writer.find(query);
      }

      @Override
      public void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor)
          throws Refusal {
        writer.scan(selection, visitor);
      }

      @Override
      public String state() {
        return writer.health();
      }
    };
  }

  @Test
  void theMostTouchedResourcesComeWithWaitsLatenciesBurstsAndTimes() throws Exception {
    for (int i = 0; i < 10; i++) { // two bursts of five, 100 ms apart, 10 s between them
      long at = (i < 5 ? 0 : 10 * SECOND) + i * 100 * MILLI;
      access("web-1", 1, disk, 42, at, AccessType.READ, Cause.DEMAND, i < 3, (i + 1) * MILLI);
    }
    touch("web-2", 2, disk, 7, 5 * SECOND);
    touch("web-2", 2, disk, 7, 6 * SECOND);
    touch("web-2", 2, database, 0, 6 * SECOND);
    Reply.Top top = ask(Reply.Top.class, new Command.ShowTop(ALL, Command.By.RESOURCE, SECOND, 2));
    assertThat(top.by()).isEqualTo("resource");
    assertThat(top.touches()).isEqualTo(13);
    assertThat(top.exact()).isTrue();
    assertThat(top.rows())
        .extracting(Reply.TopRow::name)
        .containsExactly("file-block:web.raw/42", "file-block:web.raw/7");
    Reply.TopRow first = top.rows().getFirst();
    assertThat(first.touches()).isEqualTo(10);
    assertThat(first.waited()).isEqualTo(3);
    assertThat(first.waitedShare()).isEqualTo(0.3);
    assertThat((double) first.latencyP50Nanos()).isCloseTo(5e6, within(5e6 / 8));
    assertThat((double) first.latencyP90Nanos()).isCloseTo(9e6, within(9e6 / 8));
    assertThat((double) first.latencyP99Nanos()).isCloseTo(10e6, within(10e6 / 8));
    assertThat(first.firstTimeNanos()).isEqualTo(START);
    assertThat(first.lastTimeNanos()).isEqualTo(START + 10 * SECOND + 900 * MILLI);
    assertThat(first.bursts()).isEqualTo(2);
    assertThat(first.inUseNanos()).isEqualTo(2 * 400 * MILLI);
    assertThat((double) first.gapP50Nanos()).isCloseTo(100e6, within(100e6 / 8));
  }

  @Test
  void touchesAreCountedByProgramVmAndTypeAndNarrowedByThem() throws Exception {
    touch("web-1", 1, disk, 1, 0);
    touch("web-1", 1, disk, 2, 1);
    touch("web-2", 2, disk, 1, 2);
    touch("web-2", 2, database, 0, 3);
    touch("ci-1", 3, disk, 1, 4);
    assertThat(names(ALL, Command.By.PROGRAM)).containsExactly("web 4", "batch 1");
    assertThat(names(ALL, Command.By.VM)).containsExactly("web-1 2", "web-2 2", "ci-1 1");
    assertThat(names(ALL, Command.By.TYPE)).containsExactly("file-block 4", "network-connection 1");
    assertThat(names(only("web", null, ResourceType.FILE_BLOCK), Command.By.VM))
        .containsExactly("web-1 2", "web-2 1");
    assertThat(names(only(null, "web-2", null), Command.By.RESOURCE))
        .containsExactly("file-block:web.raw/1 1", "network-connection:db:5432/0 1");
    assertThat(names(only(null, "nobody", null), Command.By.RESOURCE)).isEmpty();
    var later = new AccessHistory.Selection(null, null, null, START + 1, START + 3);
    assertThat(names(later, Command.By.RESOURCE))
        .containsExactly("file-block:web.raw/1 1", "file-block:web.raw/2 1");
  }

  private List<String> names(AccessHistory.Selection selection, Command.By by) throws Exception {
    return ask(Reply.Top.class, new Command.ShowTop(selection, by, SECOND, 100)).rows().stream()
        .map(row -> row.name() + " " + row.touches())
        .toList();
  }

  @Test
  void onlyWhatAGuestAskedForIsATouch() throws Exception {
    touch("web-1", 1, disk, 1, 0);
    access("web-1", 1, disk, 2, 1, AccessType.READ, Cause.PREFETCH, false, 1);
    access("web-1", 1, disk, 3, 2, AccessType.READ, Cause.MAINTENANCE, false, 1);
    access("web-1", 1, database, 4, 3, AccessType.RELEASE, Cause.DEMAND, false, 1);
    assertThat(names(ALL, Command.By.RESOURCE)).containsExactly("file-block:web.raw/1 1");
    Reply.Transitions transitions =
        ask(Reply.Transitions.class, new Command.ShowTransitions(ALL, 10));
    assertThat(transitions.transitions()).isZero();
    assertThat(ask(Reply.History.class, new Command.ReadHistory(ALL, 0, 100)).rows())
        .as("an export has them")
        .hasSize(4);
  }

  @Test
  void aTimelineHasEveryBucketAndCountsUnitsOnce() throws Exception {
    for (int i = 0; i < 10; i++) {
      access("web-1", 1, disk, i % 4, i * 10 * MILLI, AccessType.READ, Cause.DEMAND, i < 2, MILLI);
    }
    touch("web-1", 1, disk, 9, 2 * SECOND);
    var window =
        new AccessHistory.Selection(
            null, null, null, START - SECOND / 2, START + 3 * SECOND + SECOND / 2);
    Reply.Timeline timeline = ask(Reply.Timeline.class, new Command.ShowTimeline(window, SECOND));
    assertThat(timeline.bucketNanos()).isEqualTo(SECOND);
    assertThat(timeline.rows())
        .extracting(
            row -> (row.timeNanos() - START) / SECOND,
            Reply.TimelineRow::touches,
            Reply.TimelineRow::waited,
            Reply.TimelineRow::units)
        .containsExactly(
            tuple(-1L, 0L, 0L, 0),
            tuple(0L, 10L, 2L, 4),
            tuple(1L, 0L, 0L, 0),
            tuple(2L, 1L, 0L, 1),
            tuple(3L, 0L, 0L, 0));
    assertThat(timeline.rows().get(1).latencyP50Nanos()).isEqualTo(MILLI);
  }

  @Test
  void transitionsAreOfOneRunHoweverRunsInterleave() throws Exception {
    long at = 0;
    for (int round = 0; round < 4; round++) {
      for (int vm = 1; vm <= 2; vm++) { // both runs touch 10, 11, then the database or 12
        touch("web-" + vm, vm, disk, 10, at++ * MILLI);
      }
      for (int vm = 1; vm <= 2; vm++) {
        touch("web-" + vm, vm, disk, 11, at++ * MILLI);
        touch("web-" + vm, vm, disk, 11, at++ * MILLI); // the same again is no transition
      }
      for (int vm = 1; vm <= 2; vm++) {
        touch("web-" + vm, vm, round == 0 ? disk : database, round == 0 ? 12 : 0, at++ * MILLI);
      }
    }
    touch("web-1", Access.NO_RUN, disk, 99, at * MILLI);
    Reply.Transitions found = ask(Reply.Transitions.class, new Command.ShowTransitions(ALL, 10));
    assertThat(found.exact()).isTrue();
    assertThat(found.transitions()).isEqualTo(2 * (4 * 3 - 1));
    assertThat(found.outsideRuns()).isEqualTo(1);
    assertThat(found.rows())
        .extracting(row ->
            "%s > %s %d %.2f"
                .formatted(brief(row.from()), brief(row.to()), row.count(), row.probability()))
        .containsExactly(
            "web.raw/10 > web.raw/11 8 1.00",
            "web.raw/11 > db:5432/0 6 0.75",
            "db:5432/0 > web.raw/10 4 1.00",
            "web.raw/11 > web.raw/12 2 0.25",
            "web.raw/12 > web.raw/10 2 1.00");
    assertThat((double) found.rows().getFirst().delayP50Nanos())
        .isBetween(2e6 * 7 / 8, 3e6 * 9 / 8);
  }

  private static String brief(String name) {
    return name.substring(name.indexOf(':') + 1);
  }

  @Test
  void sequencesHaveStretchesStridesAndThreesOfEachRun() throws Exception {
    long at = 0;
    for (int run = 1; run <= 3; run++) {
      for (long index : new long[] {100, 101, 102, 103, 103, 50, 60, 70, 71}) {
        touch("web-" + run, run, disk, index, at++);
        if (index == 101) {
          touch("web-" + run, run, database, 0, at++); // other spaces do not end a stretch
        }
      }
    }
    Reply.Sequences found = ask(Reply.Sequences.class, new Command.ShowSequences(ALL, 2));
    assertThat(found.touches()).isEqualTo(30);
    assertThat(found.exact()).isTrue();
    assertThat(found.stretches())
        .containsExactly(
            new Reply.Stretches(1, 1, 3 * 2 + 3, 9), // 50, 60 and the connection
            new Reply.Stretches(2, 3, 3, 6), // 70, 71
            new Reply.Stretches(4, 7, 3, 12)); // 100 to 103
    assertThat(found.strides())
        .containsExactly(
            new Reply.Stride(1, 12, 0, 12.0 / 21), new Reply.Stride(10, 6, 0, 6.0 / 21));
    assertThat(found.ngrams())
        .hasSize(2)
        .allSatisfy(ngram -> assertThat(ngram.count()).isEqualTo(3))
        .first()
        .extracting(Reply.Ngram::resources)
        .isEqualTo(
            List.of("file-block:web.raw/50", "file-block:web.raw/60", "file-block:web.raw/70"));
  }

  @Test
  void pagesFollowOneAnotherAlsoWhereManyAccessesHaveOneTime() throws Exception {
    for (int i = 0; i < 25; i++) {
      touch("web-1", 1, disk, i, i / 10); // ten of one time
    }
    List<Long> read = new ArrayList<>();
    for (int skip = 0; ; skip += 4) {
      var rows = ask(Reply.History.class, new Command.ReadHistory(ALL, skip, 4)).rows();
      rows.forEach(row -> read.add(row.resource()));
      if (rows.size() < 4) {
        break;
      }
    }
    assertThat(read).hasSize(25).doesNotHaveDuplicates().isSorted();
  }

  @Test
  void aHistoryThatCannotBeOpenedAnswersInOneLine() throws Exception {
    writer.close();
    Path file = Files.createFile(folder.resolve("in-the-way"));
    writer = new HistoryWriter(() -> new QuestDbHistory(file), () -> START, _ -> {});
    for (Command.HistoryQuestion question :
        List.of(
            new Command.ShowTop(ALL, Command.By.VM, SECOND, 1),
            new Command.ShowTimeline(ALL, SECOND),
            new Command.ShowTransitions(ALL, 1),
            new Command.ShowSequences(ALL, 1),
            new Command.ReadHistory(ALL, 0, 1))) {
      assertThatThrownBy(() -> HistoryAnswers.to(question, sink()))
          .isInstanceOf(Refusal.class)
          .hasMessageContaining("cannot be written")
          .hasMessageNotContaining("\n");
    }
  }
}
