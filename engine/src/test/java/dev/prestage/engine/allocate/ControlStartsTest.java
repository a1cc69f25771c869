package dev.prestage.engine.allocate;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.resource.Program;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class ControlStartsTest {
  private static final Program.Key WEB = new Program.Key("default", "web");

  private final Random random = new Random(4711);
  private final ControlStarts controls = new ControlStarts(.05, random::nextDouble);
  private int drawn;

  /// Starts that wait about so long, in turn with and without staging as it is drawn.
  private void starts(int count, double stagedSeconds, double controlSeconds) {
    for (int i = 0; i < count; i++) {
      ControlStarts.Draw draw = controls.draw(WEB);
      drawn += draw == ControlStarts.Draw.CONTROL ? 1 : 0;
      double mean = draw == ControlStarts.Draw.CONTROL ? controlSeconds : stagedSeconds;
      controls.ended(WEB, draw, mean * (.5 + random.nextDouble()));
    }
  }

  private ControlStarts.Comparison comparison() {
    assertThat(controls.comparisons()).hasSize(1);
    return controls.comparisons().getFirst();
  }

  @Test
  void theFirstStartsAreAllStaged() {
    ControlStarts all = new ControlStarts(1, () -> 0);
    for (int i = 0; i < ControlStarts.FIRST_STARTS; i++) {
      assertThat(all.draw(WEB)).isEqualTo(ControlStarts.Draw.NONE);
    }
    assertThat(all.draw(WEB)).isEqualTo(ControlStarts.Draw.CONTROL);
  }

  @Test
  void aShareOfZeroIsNone() {
    ControlStarts none = new ControlStarts(0, () -> 0);
    for (int i = 0; i < 100; i++) {
      assertThat(none.draw(WEB)).isEqualTo(ControlStarts.Draw.NONE);
    }
    assertThat(none.comparisons()).isEmpty();
  }

  @Test
  void whatStagingSavesIsSaidWithItsMargin() {
    starts(800, 1, 3);
    assertThat(comparison().savedSeconds()).isBetween(1.7, 2.3);
    assertThat(comparison().marginSeconds()).isBetween(.1, .6);
    assertThat(comparison().pays()).isTrue();
    assertThat(comparison().controls()).isEqualTo(drawn).isGreaterThanOrEqualTo(30);
  }

  @Test
  void onceThereAreEnoughControlsAreRarer() {
    starts(1000, 1, 3);
    drawn = 0;
    starts(10_000, 1, 3);
    assertThat(drawn).isBetween(60, 140);
  }

  @Test
  void whereItIsWorthNothingItIsNotDoneUntilItIs() {
    starts(2000, 2, 2);
    // It may pay by chance now and then.
    drawn = 0;
    starts(2000, 2, 2);
    assertThat(drawn).isGreaterThan(1500);
    assertThat(comparison().pays()).isFalse();
    starts(20_000, .5, 2);
    assertThat(comparison().pays()).isTrue();
  }

  @Test
  void programsAreJudgedOneByOne() {
    Program.Key other = new Program.Key("default", "db");
    starts(2000, 2, 2);
    for (int i = 0; i < 40; i++) {
      controls.ended(other, controls.draw(other), 1);
    }
    assertThat(controls.comparisons().stream().filter(c -> c.program().equals(other)))
        .allMatch(ControlStarts.Comparison::pays);
  }
}
