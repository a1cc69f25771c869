package dev.prestage.cli.process;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class SupervisorTest {
  /// Ends as a control plane does that a damaged file asks for too much memory.
  static final class Greedy {
    public static void main(String[] arguments) {
      System.out.println(new long[Integer.MAX_VALUE / 2].length);
    }
  }

  @Test
  void aPlaneThatEndsForWantOfMemoryCrashed() throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(SelfCommand.line(List.of("-Xmx16m"), Greedy.class.getName()));
    Process greedy =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    int code = greedy.waitFor();
    assertThat(Supervisor.isCrash(String.valueOf(code))).as("exit code %d", code).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"134", "135", "136", "139"})
  void aPlaneThatASignalOfItsOwnEndsCrashed(String code) {
    assertThat(Supervisor.isCrash(code)).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "1", "2", "130", "137", "143", "null", ""})
  void aPlaneThatWasKilledOrEndedInOrderDidNotCrash(String code) {
    assertThat(Supervisor.isCrash(code)).isFalse();
  }
}
