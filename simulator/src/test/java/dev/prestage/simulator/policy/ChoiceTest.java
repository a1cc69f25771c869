package dev.prestage.simulator.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.simulator.Traces;
import dev.prestage.simulator.trace.Trace;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ChoiceTest {
  private static Place place(int capacity) {
    return new Place(Traces.of(1, 2, 3, 2, 1), capacity, 0, Thresholds.all(.5), Limits.DEFAULT);
  }

  @Test
  void aNameAloneHasTheDefaultsAndIsFree() {
    Choice choice = Choice.of("next-n");
    assertThat(choice.setting()).hasToString("n=8");
    assertThat(choice.isFree()).isTrue();
    assertThat(choice.alternatives())
        .extracting(Choice::setting)
        .extracting(Setting::toString)
        .containsExactly("n=8", "n=1", "n=2", "n=4", "n=16", "n=32");
    assertThat(choice.alternatives()).extracting(Choice::name).containsOnly("next-n");
  }

  @Test
  void knobsChangeTheDefaultsAndFixTheSetting() {
    Choice choice = Choice.of("markov-lag:count=2");
    assertThat(choice.setting()).hasToString("count=2:lags=4");
    assertThat(choice.isFree()).isFalse();
    assertThat(choice.alternatives()).containsExactly(choice);
    assertThat(Choice.of("readahead:jumps=0:max=4").setting().get("max")).isEqualTo(4);
  }

  @Test
  void peersJoinInAUnionWithASettingEach() {
    Choice choice = Choice.of("markov-lag:lags=1+next-n");
    assertThat(choice.parts())
        .extracting(part -> part.setting().toString())
        .containsExactly("count=1:lags=1", "n=8");
    assertThat(choice.setting()).isEqualTo(Setting.NONE);
    assertThat(choice.alternatives()).containsExactly(choice);
    assertThat(choice.policy(place(3))).isInstanceOf(PerProgram.class);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "nextn           | there is no policy 'nextn'; there are none, lru, arc,",
        "\"\"            | there is no policy ''; there are none, lru,",
        "next-n+         | there is no policy ''",
        "next-n:m=3      | policy 'next-n' has no knob 'm'; it has n=8",
        "lru:n=3         | policy 'lru' has no knob 'n'; it has none",
        "next-n:n        | 'n' is not a knob with a whole number, like n=8",
        "next-n:n=       | 'n=' is not a knob with a whole number",
        "next-n:n=-1     | 'n=-1' is not a knob with a whole number",
        "next-n:n=1e9    | 'n=1e9' is not a knob with a whole number",
        "next-n:n=99999999999 | is not a knob with a whole number",
        "next-n:n=1:n=2  | 'next-n:n=1:n=2' sets n twice",
        "next-n:         | policy 'next-n' has no knob ''; it has n=8",
        "lru+next-n      | 'lru+next-n': only peers that fetch ahead can be joined by +",
        "prestage+next-n | only peers that fetch ahead can be joined by +",
      })
  void whatIsWrongIsSaidAndWhatThereIs(String text, String message) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Choice.of(text))
        .withMessageContaining(message);
  }

  @Test
  void cachesOfAnySizeTakeMemoryForTheTraceAlone() {
    for (String name : List.of("lru", "arc", "s3fifo", "belady", "unbounded")) {
      Choice choice = Choice.of(name);
      assertThat(choice.isCache()).isTrue();
      assertThat(choice.cache(place(Integer.MAX_VALUE - 8)).access(1)).isFalse();
      assertThatThrownBy(() -> choice.policy(place(1))).hasMessage(name + " fetches nothing ahead");
    }
    assertThatThrownBy(() -> Choice.of("none").cache(place(1))).hasMessage("none is no cache");
  }

  @Test
  void everyPolicyTakesEachOfItsSettings() {
    for (Policies.Entry entry : Policies.ALL) {
      Choice choice = Choice.of(entry.name());
      for (Choice alternative : choice.alternatives()) {
        if (!choice.isCache()) {
          Policy policy = alternative.policy(place(2));
          Prefetcher.Copy copy = policy.start(0, new Trace.Run("p", 0, 0), 0, new Asked());
          copy.demanded(new Request(0, 1, 1, false, 1), new Asked());
          copy.stop();
          assertThat(policy.modelBytes()).as(entry.name()).isNotNegative();
        }
      }
    }
  }

  @Test
  void tablesOfPeersAreATenthOfTheCache() {
    assertThat(place(2).tableBytes()).isEqualTo(2 * 4096 / 10);
    assertThat(place(3).tableBytes()).isEqualTo(64L << 20);
  }

  @Test
  void settingsMultiply() {
    assertThat(Setting.product(Setting.knob("a", 1, 2), Setting.knob("b", 3, 4)))
        .extracting(Setting::toString)
        .containsExactly("a=1:b=3", "a=1:b=4", "a=2:b=3", "a=2:b=4");
    assertThat(new Setting(Map.of("a", 1)).with(Map.of("a", 2)).get("a")).isEqualTo(2);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Setting.NONE.get("a"))
        .withMessage("no knob a in {}");
  }
}
