package dev.prestage.cli.command;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;

final class PrestageCommandTest {
  static Stream<List<String>> commands() {
    List<List<String>> all = new ArrayList<>();
    collect(PrestageCommand.forWords(), List.of(), all);
    return all.stream();
  }

  private static void collect(CommandLine command, List<String> words, List<List<String>> into) {
    command
        .getSubcommands()
        .forEach((name, part) -> {
          List<String> path = Stream.concat(words.stream(), Stream.of(name)).toList();
          into.add(path);
          collect(part, path, into);
        });
  }

  private static String run(List<String> path, String option) {
    String[] words = Stream.concat(path.stream(), Stream.of(option)).toArray(String[]::new);
    StringWriter out = new StringWriter();
    CommandLine command = PrestageCommand.forWords(words).setOut(new PrintWriter(out));
    assertThat(command.execute(words)).as(String.join(" ", words)).isZero();
    return out.toString();
  }

  @ParameterizedTest
  @MethodSource("commands")
  void everyCommandSaysHowItIsUsed(List<String> path) {
    assertThat(run(path, "--help")).contains("Usage: prestage " + String.join(" ", path));
    if (!path.equals(List.of("help"))) {
      assertThat(run(path, "--version")).startsWith("prestage ");
    }
  }
}
