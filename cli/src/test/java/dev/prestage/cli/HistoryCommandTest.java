package dev.prestage.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.control.api.ApiServer;
import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.control.notice.NoticeHub;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.ResourceType;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `prestage history` against a real API whose commands are answered here.
class HistoryCommandTest {
  private static final long NOW = 1_767_225_600_000_000_000L;
  private static final long SECOND = 1_000_000_000;
  private static final AccessHistory.Row ROW =
      new AccessHistory.Row(
          NOW,
          "default",
          "web",
          "vm1",
          ResourceType.FILE_BLOCK,
          "web.raw",
          4,
          AccessType.READ,
          4096,
          Cause.DEMAND,
          true,
          5,
          7);

  @TempDir private Path folder;

  private final List<Command> asked = new CopyOnWriteArrayList<>();
  private Path socket;
  private ApiServer server;
  private boolean exact = true;
  private int rowsBeforeRefusal = Integer.MAX_VALUE;

  @BeforeEach
  void start() throws IOException {
    socket = folder.resolve("api.sock");
    server =
        new ApiServer(
            new ApiServer.Options(socket), this::answer, new NoticeHub(() -> NOW), () -> NOW);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private Reply answer(Command command) throws Refusal {
    asked.add(command);
    return switch (command) {
      case Command.ShowHistory _ -> new Reply.History(List.of(ROW));
      case Command.ReadHistory(_, int skip, int limit) -> {
        if (skip >= rowsBeforeRefusal) {
          throw new Refusal(Refusal.Reason.UNAVAILABLE, "history was closed meanwhile; ask again");
        }
        int left = rowsBeforeRefusal == Integer.MAX_VALUE ? 2 - skip : limit;
        yield new Reply.History(Stream.generate(() -> ROW).limit(left).toList());
      }
      case Command.ShowTop _ ->
          new Reply.Top(
              "resource",
              40,
              exact,
              List.of(
                  new Reply.TopRow(
                      "default",
                      "file-block:web.raw/4",
                      30,
                      0,
                      3,
                      0.1,
                      1_000_000,
                      2_000_000,
                      3_000_000,
                      NOW,
                      NOW + SECOND,
                      2,
                      SECOND,
                      4_000_000)));
      case Command.ShowTimeline(_, long bucket) ->
          new Reply.Timeline(
              bucket, exact, List.of(new Reply.TimelineRow(NOW, 12, 3, 9, 1_000_000, 2_000_000)));
      case Command.ShowTransitions _ ->
          new Reply.Transitions(
              8,
              5,
              exact,
              List.of(new Reply.Transition("default", "x/1", "x/2", 6, 0, 0.75, 1_500_000)));
      case Command.ShowSequences _ ->
          new Reply.Sequences(
              9,
              0,
              exact,
              List.of(new Reply.Stretches(1, 1, 2, 2), new Reply.Stretches(4, 7, 1, 7)),
              List.of(new Reply.Stride(-3, 6, 0, 0.5)),
              List.of(new Reply.Ngram("default", List.of("x/1", "x/2", "x/3"), 3, 0)));
      default -> throw new IllegalArgumentException(command.toString());
    };
  }

  private record Printed(int code, String out, String err) {}

  private Printed history(String... arguments) {
    return said("history", arguments);
  }

  private Printed simulate(String... arguments) {
    return said("simulate", arguments);
  }

  private Printed said(String command, String... arguments) {
    PrintStream out = System.out;
    PrintStream err = System.err;
    ByteArrayOutputStream lines = new ByteArrayOutputStream();
    ByteArrayOutputStream errors = new ByteArrayOutputStream();
    try {
      System.setOut(new PrintStream(lines, true, StandardCharsets.UTF_8));
      System.setErr(new PrintStream(errors, true, StandardCharsets.UTF_8));
      List<String> words = new ArrayList<>(List.of(command));
      words.addAll(List.of(arguments));
      words.addAll(List.of("--api", socket.toString()));
      int code = Main.commandLine(command).execute(words.toArray(String[]::new));
      return new Printed(
          code, lines.toString(StandardCharsets.UTF_8), errors.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
  }

  private static AccessHistory.Selection window(
      @Nullable String program, @Nullable String vm, @Nullable ResourceType type, long ago) {
    return new AccessHistory.Selection(program, vm, type, NOW - ago * SECOND, NOW);
  }

  @Test
  void withoutACommandItListsAccesses() {
    Printed printed = history("--vm", "vm1", "--since", "2h", "--until", "1h", "--limit", "3");
    assertThat(printed.out())
        .containsPattern("TIME +PROGRAM .*LATENCY\n2026-01-01T00:00:00Z +web +vm1 .*web.raw/4");
    assertThat(asked)
        .containsExactly(
            new Command.ShowHistory(null, "vm1", NOW - 7200 * SECOND, NOW - 3600 * SECOND, 3));
  }

  @Test
  void topIsATableOfWhatWasAskedFor() {
    Printed printed =
        history(
            "top",
            "--by",
            "vm",
            "--burst-gap",
            "2s",
            "--program",
            "web",
            "--vm",
            "vm1",
            "--type",
            "file-block",
            "--since",
            "2h",
            "--limit",
            "5");
    assertThat(asked)
        .containsExactly(
            new Command.ShowTop(
                window("web", "vm1", ResourceType.FILE_BLOCK, 7200), Command.By.VM, 2 * SECOND, 5));
    assertThat(printed.out())
        .containsPattern("RESOURCE +TOUCHES +WAITED +P50 +P90 +P99 +FIRST +LAST +BURSTS +IN USE")
        .containsPattern("file-block:web.raw/4 +30 +10.0 % +1.000 ms +2.000 ms +3.000 ms")
        .endsWith("\n40 touches in all\n");
    assertThat(printed.code()).isZero();
  }

  @Test
  void whatIsNotExactSaysSo() {
    exact = false;
    for (String question : List.of("top", "timeline", "transitions", "sequences")) {
      assertThat(history(question).out()).as(question).contains("counts are lower bounds");
    }
  }

  @Test
  void theOtherQuestionsAreTablesToo() {
    assertThat(history("timeline", "--bucket", "5m").out())
        .containsPattern("FROM +TOUCHES +WAITED +UNITS +P50 +P99\n2026-01-01T00:00:00Z +12 +3 +9 ");
    assertThat(asked)
        .containsExactly(new Command.ShowTimeline(window(null, null, null, 3600), 300 * SECOND));
    assertThat(history("transitions").out())
        .containsPattern("x/1 +x/2 +6 +0.750 +1.500 ms")
        .contains("8 transitions in all", "5 touches belong to no run and are left out");
    assertThat(history("sequences").out())
        .containsPattern("4 to 7 +1 +7\n")
        .containsPattern("-3 +6 +50.0 %")
        .containsPattern("x/1 +x/2 +x/3 +3\n")
        .contains("9 touches in runs")
        .doesNotContain("belong to no run");
  }

  @Test
  void jsonIsTheAnswerAsItIs() {
    assertThat(history("transitions", "--json").out())
        .startsWith("{\"transitions\":8,\"outsideRuns\":5,\"exact\":true,\"rows\":[{")
        .contains("\"probability\":0.75");
  }

  @Test
  void anOptionBeforeTheCommandIsRefusedInsteadOfIgnored() {
    Printed printed = history("--vm", "vm1", "top");
    assertThat(printed.code()).isEqualTo(2);
    assertThat(printed.err())
        .contains("--vm stands before the command; write it after top")
        .hasLineCount(1);
    assertThat(history("export", "--json").err())
        .contains("export writes CSV, not JSON")
        .hasLineCount(1);
    assertThat(asked).isEmpty();
  }

  @Test
  void aWrongWindowIsOneLine() {
    Printed printed = history("top", "--since", "yesterday");
    assertThat(printed.code()).isEqualTo(1);
    assertThat(printed.err()).startsWith("prestage: 'since' is not a time").hasLineCount(1);
  }

  @Test
  void anExportGoesToStandardOutputOrToAFile() throws IOException {
    Printed printed = history("export");
    assertThat(printed.out())
        .hasLineCount(3)
        .startsWith("timeNanos,tenant,program,vm,type,")
        .endsWith(",default,web,vm1,file-block,web.raw,4,READ,4096,DEMAND,true,5,7\n");
    Path file = folder.resolve("out.csv");
    assertThat(history("export", "--output", file.toString())).isEqualTo(new Printed(0, "", ""));
    assertThat(file).hasContent(printed.out());
  }

  @Test
  void aSimulationReadsTheHostsOwnHistory() {
    Printed printed =
        simulate("--history", "--since", "2h", "--program", "web", "--policies", "none");
    assertThat(printed.err()).isEmpty();
    assertThat(printed.out()).startsWith("history: 2 requests, 2 pages of 64 KiB, 1 distinct\n");
    assertThat(((Command.ReadHistory) asked.getFirst()).selection())
        .isEqualTo(new AccessHistory.Selection("web", null, null, NOW - 7200 * SECOND, NOW));
    assertThat(simulate("--history", "--since", "yesterday").err())
        .startsWith("prestage: 'since' is not a time")
        .hasLineCount(1);
  }

  @Test
  void anExportThatFailsLeavesTheFileAsItWas() throws IOException {
    rowsBeforeRefusal = 10_000;
    Path file = folder.resolve("out.csv");
    Printed printed = history("export", "--output", file.toString());
    assertThat(printed.code()).isEqualTo(1);
    assertThat(printed.err()).startsWith("prestage: ").hasLineCount(1);
    assertThat(file).doesNotExist();
    Files.writeString(file, "before");
    assertThat(history("export", "--output", file.toString()).code()).isEqualTo(1);
    assertThat(file).hasContent("before");
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).containsExactlyInAnyOrder(socket, file);
    }
  }
}
