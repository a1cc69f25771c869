package dev.prestage.simulator.policy;

import it.unimi.dsi.fastutil.longs.Long2ObjectMap;
import it.unimi.dsi.fastutil.longs.Long2ObjectOpenHashMap;
import java.util.Comparator;

/// Record and replay of all runs: what any earlier run touched is fetched at the start of the next,
/// in the order of its mean rank.
///
/// [Reap] with the memory of every run (Ustiugov et al., ASPLOS 2021, record one). A page's rank is
/// its place among the first touches of a run; the mean is over the runs that touched it.
///
/// Limitations: the union only grows, so it fetches more and more in vain where runs differ; a page
/// that few runs touched stands as early as one that all touched.
public final class ReapUnion implements Prefetcher {
  private final Long2ObjectOpenHashMap<Ranks> union = new Long2ObjectOpenHashMap<>();
  private long[] order = {};

  private static final class Ranks {
    private long sum;
    private int runs;

    double mean() {
      return (double) sum / runs;
    }
  }

  @Override
  public Copy start(Fetches fetches) {
    return new RunReplay(order, fetches, this::merge);
  }

  private void merge(long[] touched) {
    for (int rank = 0; rank < touched.length; rank++) {
      Ranks ranks = union.computeIfAbsent(touched[rank], _ -> new Ranks());
      ranks.sum += rank;
      ranks.runs++;
    }
    order =
        union.long2ObjectEntrySet().stream()
            .sorted(
                Comparator.comparingDouble(
                        (Long2ObjectMap.Entry<Ranks> page) -> page.getValue().mean())
                    .thenComparingLong(Long2ObjectMap.Entry::getLongKey))
            .mapToLong(Long2ObjectMap.Entry::getLongKey)
            .toArray();
  }

  /// A page has its ranks (24 bytes), a slot of the map (16) and its place in the order (8).
  @Override
  public long modelBytes() {
    return 48L * order.length;
  }
}
