package dev.prestage.cli.command;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.control.vm.Change;
import org.junit.jupiter.api.Test;

final class LineDiffTest {
  private static String diff(String before, String after) {
    return LineDiff.of(new Change(before, after, ""));
  }

  @Test
  void whatChangesStandsBetweenALineBeforeAndALineAfter() {
    assertThat(diff("a\nb\nc\nd\ne\n", "a\nb\nx\ny\nd\ne\n"))
        .isEqualTo("  b\n- c\n+ x\n+ y\n  d\n");
  }

  @Test
  void changesThatMeetShareTheLineBetween() {
    assertThat(diff("a\nb\nc\n", "x\nb\ny\n")).isEqualTo("- a\n+ x\n  b\n- c\n+ y\n");
  }

  @Test
  void whatIsTheSameHasNoDifference() {
    assertThat(diff("a\nb\n", "a\nb\n")).isEmpty();
    assertThat(diff("", "a\n")).isEqualTo("+ a\n");
  }
}
