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
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `prestage allocate` against a real API whose commands are answered here.
class AllocateCommandTest {
  private static final String BEGUN = "allocation 42: 10 units planned, 8 granted, 2 queued\n";

  @TempDir private Path folder;

  private Path socket;
  private ApiServer server;
  private volatile String state = "staging";
  private volatile int ready;

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
    return switch (command) {
      case Command.Allocate _ -> new Reply.Allocation(42, "vm1", "web", 10, 8, 0, 2, "staging");
      case Command.ShowAllocation _ ->
          new Reply.Allocation(42, "vm1", "web", 10, 8, ready, 2, state);
      case Command.ShowHealth _ ->
          new Reply.Health(
              "degraded", true, false, Map.of("history", "ok", "tier-full", "it is full"));
      default -> throw new Refusal(Refusal.Reason.UNKNOWN, "not asked here");
    };
  }

  private record Printed(int code, String out, String err) {}

  private Printed allocate(String... arguments) {
    PrintStream standard = System.out;
    PrintStream errors = System.err;
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    try {
      System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
      System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
      List<String> words = new ArrayList<>(List.of("allocate", "vm1"));
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
  void withoutWaitingItSaysWhatWasBegun() {
    assertThat(allocate()).isEqualTo(new Printed(0, BEGUN, ""));
  }

  @Test
  void allThatIsHereIsASuccess() {
    state = "available";
    ready = 10;
    assertThat(allocate("--wait"))
        .isEqualTo(new Printed(0, BEGUN + "available: 10 of 10 units are here\n", ""));
  }

  @Test
  void aPartIsAnExitCodeOfItsOwnWithWhatIsWrong() {
    state = "partial";
    ready = 8;
    Printed printed = allocate("--wait");
    assertThat(printed.code()).isEqualTo(3);
    assertThat(printed.out()).isEqualTo(BEGUN + "partial: 8 of 10 units are here\n");
    assertThat(printed.err()).contains("the rest was given up", "tier-full: it is full");
  }

  @Test
  void theTimeThatIsOverIsAnotherOne() {
    ready = 3;
    Printed printed = allocate("--wait", "--timeout", "50ms");
    assertThat(printed.code()).isEqualTo(4);
    assertThat(printed.out()).isEqualTo(BEGUN + "staging: 3 of 10 units are here\n");
    assertThat(printed.err())
        .contains("not all is here after 50 ms; 2 units wait for capacity; it goes on");
  }

  @Test
  void aTimeThatIsNoneIsRefused() {
    assertThat(allocate("--wait", "--timeout", "soon").code()).isEqualTo(2);
  }
}
