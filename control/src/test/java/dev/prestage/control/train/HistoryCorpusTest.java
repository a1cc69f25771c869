package dev.prestage.control.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.predict.neural.Corpus;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
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

  private static Corpus numbered(HistoryCorpus read) {
    return read.corpus(name -> name.name().equals("root") ? 1 : 2);
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
    Corpus corpus = numbered(read);
    assertThat(corpus.streams()).hasSize(3);
    assertThat(corpus.streams().get(0))
        .containsExactly(Resource.of(1, 5), Resource.of(1, 20), Resource.of(1, 5));
    assertThat(corpus.streams().get(1)).containsExactly(Resource.of(2, 9));
    assertThat(corpus.streams().get(2)).containsExactly(Resource.of(1, 8));
  }

  @Test
  void oldestStreamsAreForgotten() {
    HistoryCorpus read = new HistoryCorpus("default", 10);
    for (int run = 1; run <= 5; run++) {
      for (int i = 0; i < 4; i++) {
        now++;
        read.visit(row("default", "vm1", "root", 10 * i, run));
      }
    }
    assertThat(numbered(read).requests()).isEqualTo(8);
  }
}
