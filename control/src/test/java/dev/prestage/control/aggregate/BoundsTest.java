package dev.prestage.control.aggregate;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.control.command.Command;
import dev.prestage.control.command.Reply;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.ResourceType;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// What is said when there is more than is counted, and at the ends of time.
final class BoundsTest {
  private static final long HOT = 1_000_000;
  private final Random random = new Random(7);

  private static AccessHistory.Row row(long timeNanos, long run, long resource) {
    return new AccessHistory.Row(
        timeNanos,
        "default",
        "web",
        "vm1",
        ResourceType.FILE_BLOCK,
        "debian12",
        resource,
        AccessType.READ,
        4096,
        Cause.DEMAND,
        false,
        5,
        run);
  }

  /// Every other touch is of one unit, the rest of any other.
  private AccessHistory.Row hotOrAny(int i) {
    return row(i, 1, i % 2 == 0 ? HOT : random.nextInt(100_000));
  }

  @Test
  void aHotUnitAmongMoreThanAreCountedIsFirstAndTheAnswerSaysThatItIsNotExact() {
    TopAccesses top = new TopAccesses(Command.By.RESOURCE, 1, 64);
    for (int i = 0; i < 100_000; i++) {
      assertThat(top.visit(hotOrAny(i))).isTrue();
    }
    Reply.Top found = top.reply(1_000);
    assertThat(found.exact()).isFalse();
    assertThat(found.rows()).hasSizeBetween(32, 64);
    assertThat(found.rows().getFirst().name()).isEqualTo("file-block:debian12/" + HOT);
    assertThat(found.rows().getFirst().touches()).isEqualTo(50_000);
  }

  @Test
  void probabilitiesOfMorePairsThanAreCountedAreLowerBounds() {
    Transitions transitions = new Transitions(64);
    for (int i = 0; i < 100_000; i++) {
      // From the hot unit to 5 in a quarter of the cases.
      transitions.visit(i % 8 == 1 ? row(i, 1, 5) : hotOrAny(i));
    }
    Reply.Transitions found = transitions.reply(1_000);
    assertThat(found.exact()).isFalse();
    assertThat(found.rows()).hasSizeBetween(32, 64);
    assertThat(found.rows())
        .filteredOn(row -> row.from().endsWith("/" + HOT) && row.to().endsWith("/5"))
        .singleElement()
        .satisfies(row -> assertThat(row.probability()).isBetween(0.2, 0.26));
    assertThat(found.rows())
        .filteredOn(row -> row.from().endsWith("/5"))
        .allSatisfy(row -> assertThat(row.probability()).isBetween(0.9, 1.0));
  }

  @Test
  void sequencesOfMoreThanAreCountedKeepTheirBoundAndTheirStretches() {
    Sequences sequences = new Sequences(64, 16);
    for (int i = 0; i < 100_000; i++) {
      sequences.visit(hotOrAny(i));
    }
    for (int run = 2; run < 100_000; run++) { // more runs than are remembered
      sequences.visit(row(100_000 + run, run, 1));
      sequences.visit(row(100_000 + run, run, 2));
    }
    Reply.Sequences found = sequences.reply(1_000);
    assertThat(found.exact()).isFalse();
    assertThat(found.strides()).hasSizeBetween(8, 16);
    assertThat(found.ngrams()).hasSizeBetween(32, 64);
    assertThat(found.strides().getFirst().stride()).isEqualTo(1);
    assertThat(found.stretches())
        .filteredOn(stretches -> stretches.fromUnits() == 2)
        .singleElement()
        .satisfies(two -> assertThat(two.stretches()).isGreaterThanOrEqualTo(99_998));
  }

  @Test
  void unitsOfOneBucketAreToldApartUpToTheirBound() {
    Timeline timeline = new Timeline(0, 20, 10, 3);
    for (int i = 0; i < 10; i++) {
      timeline.visit(row(i, 1, i));
      timeline.visit(row(i, 1, 0));
    }
    timeline.visit(row(10, 1, 0));
    Reply.Timeline found = timeline.reply();
    assertThat(found.exact()).isFalse();
    assertThat(found.rows()).extracting(Reply.TimelineRow::units).containsExactly(3, 1);
    assertThat(found.rows()).extracting(Reply.TimelineRow::touches).containsExactly(20L, 1L);
  }

  @Test
  void aTimelineEndsWhereTimeDoes() {
    long year = 31_536_000_000_000_000L;
    Timeline timeline = new Timeline(Long.MAX_VALUE - 3 * year, Long.MAX_VALUE, year);
    timeline.visit(row(Long.MAX_VALUE - 1, 1, 1));
    Reply.Timeline found = timeline.reply();
    assertThat(found.rows()).hasSizeBetween(3, 4);
    assertThat(found.rows().getLast().touches()).isEqualTo(1);
  }
}
