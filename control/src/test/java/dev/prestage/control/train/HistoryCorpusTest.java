package dev.prestage.control.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.ResourceType;
import java.util.List;
import org.junit.jupiter.api.Test;

class HistoryCorpusTest {
  private long now;

  private AccessHistory.Row row(String tenant, String vm, String space, long unit, long run) {
    return new AccessHistory.Row(
        now,
        tenant,
        "web",
        vm,
        ResourceType.FILE_BLOCK,
        space,
        unit,
        AccessType.READ,
        4096,
        Cause.DEMAND,
        false,
        1,
        run);
  }

  @Test
  void requestsOfARunAreOneStreamForEachSpace() {
    HistoryCorpus read = new HistoryCorpus("default", 1_000);
    long[] units = {5, 6, 7, 20, 20, 5};
    for (long unit : units) {
      // 5, 6 and 7 are one request; 20 is asked for twice in a row.
      now += unit == 6 || unit == 7 ? 0 : 1;
      assertThat(read.visit(row("default", "vm1", "root", unit, 1))).isTrue();
      read.visit(row("other", "vm9", "root", unit + 100, 1));
    }
    read.visit(row("default", "vm1", "data", 9, 1));
    read.visit(row("default", "vm1", "root", 8, 2));
    List<HistoryCorpus.Part> parts = read.parts();
    assertThat(parts).hasSize(3);
    assertThat(parts.get(0).units().toArray()).containsExactly(5, 20, 5);
    assertThat(parts.get(1).units().toArray()).containsExactly(9);
    assertThat(parts.get(1).space().name()).isEqualTo("data");
    assertThat(parts.get(2).units().toArray()).containsExactly(8);
  }

  @Test
  void newestRequestsAreKept() {
    HistoryCorpus read = new HistoryCorpus("default", 10);
    for (int i = 0; i < 40; i++) {
      now++;
      read.visit(row("default", "vm1", "root", 10 * i, 1 + i / 33));
    }
    assertThat(read.size()).isEqualTo(10);
    assertThat(read.parts()).hasSize(2);
    assertThat(read.parts().get(0).units().toArray()).containsExactly(300, 310, 320);
    assertThat(read.parts().get(1).units().toArray())
        .containsExactly(330, 340, 350, 360, 370, 380, 390);
  }
}
