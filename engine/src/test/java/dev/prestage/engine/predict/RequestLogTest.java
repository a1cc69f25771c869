package dev.prestage.engine.predict;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class RequestLogTest {
  private static final int MOST = 1 << 18;

  private final RequestLog log = new RequestLog();
  private final RequestLog.Stream stream = log.open();

  private int append(long unit) {
    return log.append(stream, unit, 1);
  }

  @Test
  void requestIsFoundByEachOfItsUnitsAndByNoOther() {
    int position = log.append(stream, 100, 5);
    for (long unit = 100; unit < 105; unit++) {
      assertThat(log.find(unit)).isEqualTo(position);
    }
    assertThat(log.find(99)).isEqualTo(RequestLog.NONE);
    assertThat(log.find(105)).isEqualTo(RequestLog.NONE);
  }

  @Test
  void occurrencesOfAUnitAreChainedFromTheLastToTheFirst() {
    List<Integer> positions = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      positions.add(append(7));
      append(1000 + i);
    }
    int at = positions.getLast();
    for (int i = 3; i >= 0; i--) {
      at = log.earlier(at);
      assertThat(at).isEqualTo(positions.get(i));
    }
    assertThat(log.earlier(at)).isEqualTo(RequestLog.NONE);
  }

  @Test
  void sameTwoAndSameThreeRequestsAreFoundAgain() {
    append(1);
    append(2);
    int first = append(3);
    append(9);
    append(2);
    int second = append(3);
    assertThat(log.earlierPair(second)).isEqualTo(first);
    assertThat(log.lastAfterThree(stream)).as("9 2 3 never came").isEqualTo(RequestLog.NONE);
    append(1);
    append(2);
    append(3);
    assertThat(log.lastAfterThree(stream)).isEqualTo(first);
  }

  @Test
  void streamsSideBySideKeepTheirOwnOrder() {
    RequestLog.Stream other = log.open();
    int mine = append(0);
    int theirs = log.append(other, 500_000, 1);
    for (int i = 1; i < 1000; i++) {
      append(i);
      log.append(other, 500_000 + 2L * i, 1);
    }
    for (int steps : new int[] {1, 63, 64, 65, 500, 999}) {
      assertThat(log.first(log.after(mine, steps))).isEqualTo(steps);
      assertThat(log.first(log.after(theirs, steps))).isEqualTo(500_000 + 2L * steps);
    }
    assertThat(log.after(mine, 1000)).isEqualTo(RequestLog.NONE);
    int at = log.last(stream);
    for (int i = 998; i >= 0; i--) {
      at = log.before(at);
      assertThat(log.first(at)).isEqualTo(i);
    }
    assertThat(log.before(at)).isEqualTo(RequestLog.NONE);
  }

  @Test
  void sequencesAreFollowedAtTheirSpeedAcrossOthersInBetween() {
    for (int i = 0; i < 6; i++) {
      log.append(stream, 4000 + 8L * i, 8);
      append(90_000 - 7L * i);
    }
    int last = log.find(4040);
    assertThat(log.run(last)).isEqualTo(5);
    assertThat(log.speed(last)).as("8 units every two requests").isEqualTo(4);
    assertThat(log.run(log.find(90_000))).isZero();
  }

  @Test
  void whatIsOverwrittenIsForgottenAndTheRestIsFoundWhateverItsAge() {
    long seed = 11;
    Random random = new Random(seed);
    long[] units = new long[MOST + 5000];
    for (int i = 0; i < units.length; i++) {
      units[i] = i * 3L;
      append(units[i]);
      if (i % 1000 == 0) {
        int some = random.nextInt(i + 1);
        int found = log.find(units[some]);
        if (i - some < MOST / 2) {
          assertThat(found == RequestLog.NONE || log.first(found) == units[some])
              .as("seed %d, %d of %d", seed, some, i)
              .isTrue();
        }
      }
    }
    assertThat(log.find(units[0])).isEqualTo(RequestLog.NONE);
    int last = log.find(units[units.length - 1]);
    assertThat(last).isEqualTo(log.last(stream));
    int at = last;
    int steps = 0;
    for (int before = log.before(at); before != RequestLog.NONE; before = log.before(at)) {
      at = before;
      steps++;
      assertThat(log.first(at)).isEqualTo(units[units.length - 1 - steps]);
    }
    assertThat(steps).isBetween(MOST - 200, MOST);
    assertThat(log.memoryBytes()).isLessThan(14_000_000);
  }

  @Test
  void historyOfAUnitSurvivesTheGrowthOfTheLog() {
    for (int i = 0; i < 5; i++) {
      append(77);
    }
    log.wasted(77);
    for (int i = 0; i < 3000; i++) {
      append(10_000 + 16L * i);
    }
    int found = log.find(77);
    assertThat(log.touches(77, found)).isEqualTo(5);
    assertThat(log.waste(77, found)).isEqualTo(1);
    assertThat(log.age(found)).isEqualTo(3000);
  }

  @Test
  void programThatDoesLittleCostsLittle() {
    append(1);
    assertThat(log.memoryBytes()).isLessThan(60_000);
  }
}
