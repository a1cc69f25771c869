package dev.prestage.simulator.cache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class PositionSetTest {
  @Test
  void agreesWithATreeSetAtEveryDepth() {
    for (int bound : new int[] {1, 63, 64, 65, 4096, 4097, 262_144, 262_145}) {
      Random random = new Random(bound);
      PositionSet set = new PositionSet(bound);
      TreeSet<Integer> model = new TreeSet<>();
      for (int step = 0; step < 5000; step++) {
        int position = random.nextInt(bound);
        if (random.nextBoolean()) {
          set.add(position);
          model.add(position);
        } else if (!model.isEmpty()) {
          position = random.nextInt(4) == 0 ? position : model.last();
          set.remove(position);
          model.remove(position);
        }
        assertThat(set.contains(position)).isEqualTo(model.contains(position));
        if (!model.isEmpty()) {
          assertThat(set.last()).as("bound %d, step %d", bound, step).isEqualTo(model.last());
        }
      }
    }
  }
}
