package dev.prestage.cli.command;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class PlatformMatrixTest {
  private static final Path HOME = Path.of(System.getProperty("prestage.home"));
  private static final Set<String> WORDS =
      Set.of(PlatformMatrix.NONE, PlatformMatrix.NOT_YET, PlatformMatrix.AS_HOST);

  @Test
  void theManualHasTheSameTable() throws IOException {
    assertThat(
            Files.readAllLines(HOME.resolve("docs/platforms.md")).stream()
                .filter(line -> line.startsWith("|")))
        .containsExactlyElementsOf(PlatformMatrix.markdown());
  }

  @Test
  void eachTestThatIsNamedIsThere() throws IOException {
    Set<String> named = new TreeSet<>();
    PlatformMatrix.ROWS.forEach(row -> named.addAll(row.cells()));
    named.removeAll(WORDS);
    Set<String> there = new TreeSet<>();
    for (String module : new String[] {"acceptance", "cli", "control", "dataplane"}) {
      try (Stream<Path> files = Files.walk(HOME.resolve(module).resolve("src/test/java"))) {
        there.addAll(
            files
                .map(file -> file.getFileName().toString())
                .filter(name -> name.endsWith("Test.java"))
                .map(name -> name.substring(0, name.length() - ".java".length()))
                .collect(Collectors.toSet()));
      }
    }
    assertThat(there).containsAll(named);
  }

  @Test
  void whatAnyHostDoesIsShownByATest() {
    for (PlatformMatrix.Row row : PlatformMatrix.ROWS) {
      if (row.platform().equals("any host")) {
        assertThat(row.cells()).doesNotContain(PlatformMatrix.AS_HOST);
      }
    }
  }
}
