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

/// `prestage vm` against a real API whose commands are answered here.
class VmCommandTest {
  private static final String IN_USE = "the disk of VM ci-1 has 1 open NBD connection";

  @TempDir private Path folder;

  private final List<Command> asked = new CopyOnWriteArrayList<>();
  private Path socket;
  private ApiServer server;

  @BeforeEach
  void start() throws IOException {
    socket = folder.resolve("api.sock");
    server =
        new ApiServer(
            new ApiServer.Options(socket), this::removeIfForced, new NoticeHub(() -> 0), () -> 0);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private Reply removeIfForced(Command command) throws Refusal {
    asked.add(command);
    if (command instanceof Command.RemoveVm(String _, boolean force) && force) {
      return new Reply.Done();
    }
    throw new Refusal(Refusal.Reason.CONFLICT, IN_USE);
  }

  private record Printed(int code, String err) {}

  private Printed remove(String... arguments) {
    PrintStream err = System.err;
    ByteArrayOutputStream errors = new ByteArrayOutputStream();
    try {
      System.setErr(new PrintStream(errors, true, StandardCharsets.UTF_8));
      List<String> words = new ArrayList<>(List.of("vm", "remove"));
      words.addAll(List.of(arguments));
      words.addAll(List.of("--api", socket.toString()));
      int code = Main.commandLine().execute(words.toArray(String[]::new));
      return new Printed(code, errors.toString(StandardCharsets.UTF_8));
    } finally {
      System.setErr(err);
    }
  }

  @Test
  void aRefusedRemovalIsOneLineAndNothingIsForcedUnasked() {
    assertThat(remove("ci-1")).isEqualTo(new Printed(1, "prestage: " + IN_USE + "\n"));
    assertThat(asked).containsExactly(new Command.RemoveVm("ci-1", false));
  }

  @Test
  void forceIsPassedOn() {
    assertThat(remove("ci-1", "--force")).isEqualTo(new Printed(0, ""));
    assertThat(asked).containsExactly(new Command.RemoveVm("ci-1", true));
  }
}
