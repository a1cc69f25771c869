package dev.prestage.simulator.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.simulator.trace.Trace;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Random;
import java.util.function.IntFunction;
import java.util.function.ToIntFunction;
import org.junit.jupiter.api.Test;

class PageCachesTest {
  private static final int SEEDS = 40;

  /// What each access was: `h` a hit, `m` a miss.
  private static String outcomes(PageCache cache, long... pages) {
    StringBuilder outcomes = new StringBuilder();
    for (long page : pages) {
      outcomes.append(cache.access(page) ? 'h' : 'm');
    }
    return outcomes.toString();
  }

  private static Trace trace(long... pages) {
    Trace.Builder trace = new Trace.Builder("pages", Trace.PAGE_BYTES, false);
    int run = trace.run(new Trace.Run("pages", 1, 0));
    for (long page : pages) {
      trace.add(0, run, 0, page, 1, false);
    }
    return trace.build();
  }

  /// Favourites, loops and scans: what the policies differ in.
  private static Trace randomTrace(long seed) {
    Random random = new Random(seed);
    Trace.Builder trace = new Trace.Builder("seed " + seed, Trace.PAGE_BYTES, false);
    int run = trace.run(new Trace.Run("random", 1, 0));
    int loop = 5 + random.nextInt(60);
    for (int request = 0; request < 1500; request++) {
      int count = 1 + random.nextInt(4);
      long first =
          switch (request / 100 % 3) {
            case 0 -> (long) (200 * Math.pow(random.nextDouble(), 3));
            case 1 -> 300 + request % loop;
            default -> 500 + request;
          };
      trace.add(0, run, 0, first, count, false);
    }
    return trace.build();
  }

  private static int misses(Trace trace, PageCache cache) {
    return misses(trace, cache, _ -> 0, 0);
  }

  private static <C extends PageCache> int misses(
      Trace trace, C cache, ToIntFunction<C> size, int capacity) {
    int misses = 0;
    for (int request = 0; request < trace.requests(); request++) {
      for (int page = 0; page < trace.count(request); page++) {
        if (!cache.access(trace.first(request) + page)) {
          misses++;
        }
        assertThat(size.applyAsInt(cache)).isLessThanOrEqualTo(capacity);
      }
    }
    return misses;
  }

  private static int[] capacities(Trace trace) {
    int distinct = trace.distinctPages();
    return new int[] {1, 2, 3, 9, 10, 33, 100, distinct - 1, distinct, distinct + 1};
  }

  @Test
  void lruEvictsThePageLeftAloneForLongest() {
    // 3 finds 2 older than 1, which was demanded again.
    assertThat(outcomes(new Lru(2), 1, 2, 1, 3, 1, 2)).isEqualTo("mmhmhm");
  }

  @Test
  void lruKeepsNothingOfALoopOnePageLongerThanItself() {
    assertThat(outcomes(new Lru(2), 1, 2, 3, 1, 2, 3)).isEqualTo("mmmmmm");
  }

  @Test
  void lruAgreesWithANaiveModel() {
    for (long seed = 0; seed < SEEDS; seed++) {
      Trace trace = randomTrace(seed);
      for (int capacity : capacities(trace)) {
        assertThat(misses(trace, new Lru(capacity), Lru::size, capacity))
            .as("seed %d, capacity %d", seed, capacity)
            .isEqualTo(misses(trace, naiveLru(capacity)));
      }
    }
  }

  private static PageCache naiveLru(int capacity) {
    Map<Long, Boolean> pages =
        new LinkedHashMap<>(16, .75f, true) {
          private static final long serialVersionUID = 1;

          @Override
          protected boolean removeEldestEntry(Map.Entry<Long, Boolean> eldest) {
            return size() > capacity;
          }
        };
    return page -> pages.put(page, true) != null;
  }

  @Test
  void arcLearnsFromWhatItEvictedTooEarly() {
    // 1 is seen often, 2 and 3 once each: 3 evicts 2, as the target for those is 0. That 2 comes
    // back
    // makes the target 1, so 1 goes and 3 stays. That 1 comes back makes the target 0 again; 2 is
    // the
    // older of those seen often.
    assertThat(outcomes(new Arc(2), 1, 1, 2, 3, 2, 3, 1, 3, 2)).isEqualTo("mhmmmhmhm");
  }

  @Test
  void arcRemembersNoMoreThanItHolds() {
    // With 1 seen often, 2 to 4 pass through the other page's place. Of those seen once, here or
    // evicted, there may be two: 3 and 4, so 2 comes back unknown and evicts 4, not 1.
    assertThat(outcomes(new Arc(2), 1, 1, 2, 3, 4, 2, 1, 4)).isEqualTo("mhmmmmhm");
  }

  @Test
  void arcGivesPagesSeenOnceTheRoomTheyLacked() {
    Arc arc = new Arc(4);
    // 1 to 4 are seen often; 5 evicts 1, 6 evicts 5, as the target is 0: of those seen once 6 is
    // here.
    assertThat(outcomes(arc, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6)).isEqualTo("mmmmhhhhmm");
    // 5 moves the target to 1 and evicts 2 instead of 6; so 6 is still here, and 2 is not.
    assertThat(outcomes(arc, 5, 6, 2)).isEqualTo("mhm");
  }

  @Test
  void arcAgreesWithANaiveModel() {
    for (long seed = 0; seed < SEEDS; seed++) {
      Trace trace = randomTrace(seed);
      for (int capacity : capacities(trace)) {
        assertThat(misses(trace, new Arc(capacity), Arc::size, capacity))
            .as("seed %d, capacity %d", seed, capacity)
            .isEqualTo(misses(trace, new NaiveArc(capacity)));
      }
    }
  }

  /// The cases of the paper's Figure 4 with its names, over ordered sets whose first page is the
  /// oldest.
  private static final class NaiveArc implements PageCache {
    private final int c;
    private final LinkedHashSet<Long> t1 = new LinkedHashSet<>();
    private final LinkedHashSet<Long> t2 = new LinkedHashSet<>();
    private final LinkedHashSet<Long> b1 = new LinkedHashSet<>();
    private final LinkedHashSet<Long> b2 = new LinkedHashSet<>();
    private double p;

    private NaiveArc(int c) {
      this.c = c;
    }

    @Override
    public boolean access(long page) {
      if (t1.remove(page) || t2.remove(page)) {
        t2.add(page);
        return true;
      }
      if (b1.contains(page)) {
        p = Math.min(c, p + Math.max(1.0, (double) b2.size() / b1.size()));
        replace(page);
        b1.remove(page);
        t2.add(page);
        return false;
      }
      if (b2.contains(page)) {
        p = Math.max(0, p - Math.max(1.0, (double) b1.size() / b2.size()));
        replace(page);
        b2.remove(page);
        t2.add(page);
        return false;
      }
      int total = t1.size() + t2.size() + b1.size() + b2.size();
      if (t1.size() + b1.size() == c) {
        if (t1.size() < c) {
          b1.removeFirst();
          replace(page);
        } else {
          t1.removeFirst();
        }
      } else if (total >= c) {
        if (total == 2 * c) {
          b2.removeFirst();
        }
        replace(page);
      }
      t1.add(page);
      return false;
    }

    private void replace(long page) {
      if (!t1.isEmpty() && (t1.size() > p || (b2.contains(page) && t1.size() == p))) {
        b1.add(t1.removeFirst());
      } else {
        b2.add(t2.removeFirst());
      }
    }
  }

  @Test
  void arcKeepsThePagesSeenTwiceThroughAScan() {
    long[] scan = new long[50];
    for (int page = 0; page < scan.length; page++) {
      scan[page] = 100L + page;
    }
    Arc arc = new Arc(4);
    assertThat(outcomes(arc, 1, 1, 2, 2)).isEqualTo("mhmh");
    assertThat(outcomes(arc, scan)).doesNotContain("h");
    assertThat(outcomes(arc, 1, 2)).isEqualTo("hh");
  }

  @Test
  void s3FifoKeepsWhatWasDemandedTwiceMoreThroughAScan() {
    S3Fifo cache = new S3Fifo(10);
    assertThat(outcomes(cache, 1, 1, 1, 2, 2)).isEqualTo("mhhmh");
    for (int page = 100; page < 150; page++) {
      assertThat(cache.access(page)).isFalse();
    }
    // 2 was demanded only once more, and its ghost is one of 48 that nine remain of.
    assertThat(outcomes(cache, 1, 2)).isEqualTo("hm");
  }

  @Test
  void s3FifoTakesAPageThatComesBackIntoTheMainQueue() {
    S3Fifo cache = new S3Fifo(10);
    assertThat(outcomes(cache, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1)).isEqualTo("m".repeat(12));
    for (int page = 100; page < 150; page++) {
      assertThat(cache.access(page)).isFalse();
    }
    assertThat(cache.access(1)).isTrue();
  }

  @Test
  void s3FifoMainQueueGivesAnotherRoundForAHit() {
    // Small 1, main 1, one ghost. 3 evicts 1; 1 comes back into main, evicting 2, and is hit. 2 and
    // then 3 come back into main, each from the ghost the other's return made: 3 finds main too
    // long, spares 1 for its hit and evicts 2, of which main leaves no ghost.
    assertThat(outcomes(new S3Fifo(2), 1, 2, 3, 1, 1, 2, 3, 1, 2)).isEqualTo("mmmmhmmhm");
  }

  @Test
  void beladyEvictsThePageWantedLast() {
    // 3 finds 1 wanted next and 2 after it.
    assertThat(outcomes(new Belady(trace(1, 2, 3, 1, 2), 2), 1, 2, 3, 1, 2)).isEqualTo("mmmhm");
  }

  @Test
  void beladyFirstEvictsWhatIsNeverWantedAgain() {
    assertThat(outcomes(new Belady(trace(1, 2, 3, 3, 1), 2), 1, 2, 3, 3, 1)).isEqualTo("mmmhh");
  }

  @Test
  void beladyRefusesPagesThatItDidNotForesee() {
    Belady belady = new Belady(trace(1, 2), 1);
    belady.access(1);
    assertThatThrownBy(() -> belady.access(3))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("page 3");
    belady.access(2);
    assertThatThrownBy(() -> belady.access(2)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void noPolicyMissesLessThanBeladyOrMoreThanAlwaysOrHoldsMoreThanItsCapacity() {
    for (long seed = 0; seed < SEEDS; seed++) {
      Trace trace = randomTrace(seed);
      for (int capacity : capacities(trace)) {
        int best = misses(trace, new Belady(trace, capacity), Belady::size, capacity);
        assertThat(best).isGreaterThanOrEqualTo(trace.distinctPages());
        String where = "seed " + seed + ", capacity " + capacity;
        assertThat(misses(trace, new Lru(capacity), Lru::size, capacity))
            .as(where)
            .isGreaterThanOrEqualTo(best);
        assertThat(misses(trace, new Arc(capacity), Arc::size, capacity))
            .as(where)
            .isGreaterThanOrEqualTo(best);
        assertThat(misses(trace, new S3Fifo(capacity), S3Fifo::size, capacity))
            .as(where)
            .isGreaterThanOrEqualTo(best);
      }
    }
  }

  @Test
  void onlyFirstTouchesMissWhereEverythingFits() {
    for (long seed = 0; seed < SEEDS; seed++) {
      Trace trace = randomTrace(seed);
      int distinct = trace.distinctPages();
      assertThat(misses(trace, new Unbounded(), Unbounded::size, distinct)).isEqualTo(distinct);
      for (int capacity : new int[] {distinct, distinct + 1}) {
        assertThat(misses(trace, new Lru(capacity))).isEqualTo(distinct);
        assertThat(misses(trace, new Arc(capacity))).isEqualTo(distinct);
        assertThat(misses(trace, new S3Fifo(capacity))).isEqualTo(distinct);
        assertThat(misses(trace, new Belady(trace, capacity))).isEqualTo(distinct);
      }
    }
  }

  @Test
  void aCacheOfOnePageHoldsTheLastOne() {
    long[] pages = {1, 1, 2, 2, 2, 2, 1, 0, 0};
    String expected = "mhmhhhmmh";
    assertThat(outcomes(new Lru(1), pages)).isEqualTo(expected);
    assertThat(outcomes(new Arc(1), pages)).isEqualTo(expected);
    assertThat(outcomes(new S3Fifo(1), pages)).isEqualTo(expected);
    assertThat(outcomes(new Belady(trace(pages), 1), pages)).isEqualTo(expected);
  }

  @Test
  void aCacheOfNoPageIsRefused() {
    Trace trace = trace(1);
    refusesNoPage(Lru::new);
    refusesNoPage(Arc::new);
    refusesNoPage(S3Fifo::new);
    refusesNoPage(capacity -> new Belady(trace, capacity));
  }

  private static void refusesNoPage(IntFunction<PageCache> policy) {
    assertThatThrownBy(() -> policy.apply(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("no cache of 0 pages");
  }

  @Test
  void beladyOfAnEmptyTraceIsNeverAsked() {
    Belady belady = new Belady(trace(), 1);
    assertThatThrownBy(() -> belady.access(1)).isInstanceOf(IllegalStateException.class);
  }
}
