package dev.prestage.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.control.api.ApiServer;
import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.control.notice.NoticeHub;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `prestage model` against a real API whose commands are answered here.
class ModelCommandTest {
  @TempDir private Path folder;

  private final List<Command> asked = new CopyOnWriteArrayList<>();
  private Path socket = Path.of("");
  private ApiServer server;

  @BeforeEach
  void start() throws IOException {
    socket = folder.resolve("api.sock");
    server =
        new ApiServer(new ApiServer.Options(socket), this::answer, new NoticeHub(() -> 0), () -> 0);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private Reply answer(Command command) throws Refusal {
    asked.add(command);
    return switch (command) {
      case Command.RebuildModel(String program, _) when program.equals("none") ->
          throw new Refusal(
              Refusal.Reason.UNKNOWN, "history has no access of program '" + program + "'");
      case Command.RebuildModel(String program, _) ->
          new Reply.Training("default", program, Reply.Training.REBUILDING, "reading history");
      case Command.ShowModelVersions(String program, _) -> versions(program);
      case Command.RollBackModel(String program, _, _) -> versions(program);
      case Command.DiffModels(String program, _, _, _) -> diff(program);
      default -> throw new Refusal(Refusal.Reason.UNKNOWN, "not asked here");
    };
  }

  private static Reply diff(String program) {
    Reply.ModelVersions versions = versions(program);
    return new Reply.ModelDiff(
        "default",
        program,
        versions.versions().get(1),
        versions.versions().get(0),
        List.of(
            new Reply.ModelTypeDiff(
                "file-block",
                4,
                6,
                false,
                true,
                null,
                0.25,
                30,
                40,
                20,
                0.4,
                List.of(new Reply.ModelChange("file-block:debian12/7", 0.0, 0.9)))));
  }

  private static Reply.ModelVersions versions(String program) {
    return new Reply.ModelVersions(
        "default",
        program,
        List.of(
            new Reply.ModelVersion(
                2,
                true,
                "rebuilt",
                "2026-01-02T00:00:00Z",
                "2026-01-01T00:00:00Z",
                "2026-01-02T00:00:00Z",
                null,
                null,
                0,
                "from 78 accesses of 3 runs",
                ""),
            new Reply.ModelVersion(
                1, false, "learnt", null, null, null, null, 3L, 900, "", "it was damaged")));
  }

  private record Printed(int code, String out, String err) {}

  private Printed model(String... arguments) {
    PrintStream standard = System.out;
    PrintStream errors = System.err;
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    try {
      System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
      System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
      List<String> words = new ArrayList<>(List.of("model"));
      words.addAll(List.of(arguments));
      words.addAll(List.of("--api", socket.toString()));
      int code = Main.commandLine().execute(words.toArray(String[]::new));
      return new Printed(
          code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(standard);
      System.setErr(errors);
    }
  }

  @Test
  void rebuildSaysHowFarItIsOrWhyNot() {
    assertThat(model("rebuild", "web", "--tenant", "blue"))
        .isEqualTo(new Printed(0, "rebuilding: reading history\n", ""));
    assertThat(asked).containsExactly(new Command.RebuildModel("web", "blue"));
    Printed refused = model("rebuild", "none");
    assertThat(refused.code()).isNotZero();
    assertThat(refused.err()).contains("history has no access of program 'none'").hasLineCount(1);
  }

  @Test
  void versionsAreATableWithWhereTheyCameFrom() {
    List<String> lines = model("versions", "web").out().lines().toList();
    assertThat(lines).hasSize(3);
    assertThat(lines.get(1))
        .matches(" *2 +yes +rebuilt .*2026-01-01T00:00:00Z.* from 78 accesses of 3 runs *");
    assertThat(lines.get(2)).matches(" *1 +- +learnt +- .* 3 +it was damaged *");
  }

  @Test
  void diffStandsSideBySide() {
    List<String> lines = model("diff", "web", "1", "2", "--tenant", "blue").out().lines().toList();
    assertThat(asked).containsExactly(new Command.DiffModels("web", "blue", 1, 2));
    assertThat(lines)
        .anyMatch(line -> line.matches("how +learnt +rebuilt *"))
        .anyMatch(line -> line.matches("file-block: runs +4 +6 *"))
        .anyMatch(line -> line.matches("file-block: network +- +[+]0[.]25 bits *"))
        .anyMatch(line -> line.matches("file-block: units expected +30 +40 *"))
        .anyMatch(line -> line.matches("file-block: 20 expected by both, 0[.]40 of all .*"))
        .anyMatch(line -> line.matches("file-block:debian12/7 +0[.]00 +0[.]90 +[+]0[.]90 *"));
    assertThat(model("diff", "web").code()).isZero();
    assertThat(asked.getLast()).isEqualTo(new Command.DiffModels("web", null, null, null));
    Printed wrong = model("diff", "web", "1", "0");
    assertThat(wrong.code()).isNotZero();
    assertThat(wrong.err()).contains("'to' is '0'; send a number from 1");
  }

  @Test
  void rollBackNamesAVersionOrNone() {
    assertThat(model("rollback", "web").code()).isZero();
    assertThat(model("rollback", "web", "1", "--tenant", "blue").code()).isZero();
    assertThat(asked)
        .containsExactly(
            new Command.RollBackModel("web", null, null),
            new Command.RollBackModel("web", "blue", 1));
    Printed wrong = model("rollback", "web", "0");
    assertThat(wrong.code()).isNotZero();
    assertThat(wrong.err()).contains("'version' is '0'; send a number from 1");
  }
}
