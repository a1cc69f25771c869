package dev.prestage.simulator.trace;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.function.LongUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RenumberingTest {
  private static final long SEED = 5;

  private static Trace trace(int requests, LongUnaryOperator page) {
    Trace.Builder builder = new Trace.Builder("t", 4096, false);
    int run = builder.run(new Trace.Run("t", 1, 0));
    for (int i = 0; i < requests; i++) {
      builder.add(0, run, 0, page.applyAsLong(i), 1, false);
    }
    return builder.build();
  }

  /// Random accesses, some pages far more often than others.
  private static LongUnaryOperator skewed(Random random) {
    return _ -> (long) (2000 * Math.pow(random.nextDouble(), 3));
  }

  @Test
  void idsInTheOrderOfFirstTouchesAreFound() {
    for (long base : new long[] {0, 1, 5000}) {
      LongUnaryOperator pages = skewed(new Random(SEED));
      Map<Long, Long> numbers = new HashMap<>();
      LongUnaryOperator renumbered =
          i -> numbers.computeIfAbsent(pages.applyAsLong(i), _ -> base + numbers.size());
      assertThat(Renumbering.isLikely(trace(8000, renumbered))).as("base " + base).isTrue();
    }
  }

  @Test
  void realIdsAreNotTakenForRenumberedOnes() {
    assertThat(Renumbering.isLikely(trace(8000, skewed(new Random(SEED))))).isFalse();
  }

  @Test
  void sequentialScansAreNotTakenForRenumbered() {
    assertThat(Renumbering.isLikely(trace(8000, i -> 700 + i))).isFalse();
    // Again and again.
    assertThat(Renumbering.isLikely(trace(8000, i -> i % 1000))).isFalse();
    // Each page twice.
    assertThat(Renumbering.isLikely(trace(8000, i -> i / 2))).isFalse();
    // Past the same few metadata pages every now and then.
    assertThat(Renumbering.isLikely(trace(8000, i -> i % 50 == 49 ? i / 50 % 8 : i - i / 50)))
        .isFalse();
    // By two readers, of whom one comes later.
    assertThat(
            Renumbering.isLikely(trace(8000, i -> i % 2 == 0 ? i / 2 : Math.max(0, i / 2 - 500))))
        .isFalse();
  }

  @Test
  void aFileWithRenumberedIdsHasAWarning(@TempDir Path folder) throws IOException {
    LongUnaryOperator pages = skewed(new Random(SEED));
    Map<Long, Integer> numbers = new HashMap<>();
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 8000; i++) {
      int number = numbers.computeIfAbsent(pages.applyAsLong(i), _ -> numbers.size());
      text.append(8 * number).append(" 8 0 ").append(i).append('\n');
    }
    Path file = Files.writeString(folder.resolve("oltp.lis"), text);
    assertThat(TraceFiles.read(file, TraceFiles.AUTO, Progress.NONE).warnings())
        .containsExactly(Renumbering.WARNING);
  }

  @Test
  void fewPagesSayNothing() {
    assertThat(Renumbering.isLikely(trace(2000, i -> i % 3 == 0 ? i / 30 : i / 60))).isFalse();
  }
}
