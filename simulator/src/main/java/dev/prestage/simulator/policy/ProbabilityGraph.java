package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import it.unimi.dsi.fastutil.longs.Long2IntOpenHashMap;
import it.unimi.dsi.fastutil.longs.Long2ObjectOpenHashMap;
import it.unimi.dsi.fastutil.longs.LongArrayList;
import org.jspecify.annotations.Nullable;

/// Probability graph: an arc from each page to every page demanded soon after it, and a fetch along
/// the arcs that carry enough of their page's weight.
///
/// After Griffioen and Appleton ("Reducing File System Latency using a Predictive Approach", USENIX
/// Summer 1994), whose nodes are files and whose defaults are those of libCacheSim, so that the
/// numbers compare: soon is within [#WINDOW] pages, enough is more than [#LEAST_PERCENT] percent,
/// and once the memory is full no page and no arc is added while those that are there still count.
/// All pages of a request enter the graph, and only the last one is looked up, or else the pages of
/// one request would predict each other.
///
/// Limitations: with these defaults a page whose next 20 pages never vary gives each of them .05,
/// which is not more than .05; so only pages that recur within the window are fetched, and the
/// policy does little. A memory of a tenth of the cache is filled by the first few thousand pages
/// and never forgets them.
public final class ProbabilityGraph implements Prefetcher {
  /// Arcs reach this many pages ahead (libCacheSim's lookahead-range).
  public static final int WINDOW = 20;

  /// The share of a page's weight that an arc must exceed, in percent (libCacheSim's
  /// prefetch-threshold).
  public static final int LEAST_PERCENT = 5;

  /// A page or an arc: an id and three words.
  private static final int ENTRY_BYTES = 32;

  private final long memoryBytes;
  private final double leastShare;
  private final Long2ObjectOpenHashMap<Node> graph = new Long2ObjectOpenHashMap<>();
  private long usedBytes;
  private boolean isFull;

  /// @param memoryBytes what the graph may take; libCacheSim gives it a tenth of the cache
  /// @param leastPercent of a page's weight that an arc must exceed
  public ProbabilityGraph(long memoryBytes, int leastPercent) {
    this.memoryBytes = memoryBytes;
    this.leastShare = leastPercent / 100.0;
  }

  private final class Node {
    private final Long2IntOpenHashMap weight = new Long2IntOpenHashMap();
    // A superset of the arcs above the threshold: an arc rises above it only when it is counted.
    private final LongArrayList likely = new LongArrayList();
    private int total;

    double share(long page) {
      return (double) weight.get(page) / total;
    }

    void count(long page, int now) {
      weight.put(page, now);
      if (now > leastShare * total && !likely.contains(page)) {
        likely.add(page);
      }
    }

    LongArrayList likely() {
      likely.removeIf(page -> share(page) <= leastShare);
      return likely;
    }
  }

  @Override
  public Copy start(Fetches fetches) {
    return new Window();
  }

  @Override
  public long modelBytes() {
    return usedBytes;
  }

  private final class Window implements Copy {
    private final long[] recent = new long[WINDOW];
    private long seen;
    private @Nullable Node node;

    @Override
    public void demanded(Request request, Fetches fetches) {
      for (long page = request.first(); page <= request.last(); page++) {
        learn(page);
      }
      node = graph.get(request.last());
      if (node != null) {
        LongArrayList likely = node.likely();
        for (int i = 0; i < likely.size() && !fetches.isFull(); i++) {
          fetches.fetch(likely.getLong(i));
        }
      }
    }

    private void learn(long page) {
      int oldest = (int) (seen++ % WINDOW);
      long from = recent[oldest];
      recent[oldest] = page;
      if (seen > WINDOW) {
        Node leaving = node(from);
        if (leaving != null) {
          count(leaving);
        }
      }
    }

    private @Nullable Node node(long page) {
      Node known = graph.get(page);
      if (known == null && !isFull) {
        known = new Node();
        graph.put(page, known);
        usedBytes += ENTRY_BYTES;
      }
      return known;
    }

    private void count(Node from) {
      for (long page : recent) {
        from.total++;
        int weight = from.weight.get(page);
        if (weight == 0) {
          if (isFull) {
            return;
          }
          usedBytes += ENTRY_BYTES;
        }
        from.count(page, weight + 1);
      }
      isFull = usedBytes >= memoryBytes;
    }

    /// The shares of the likely arcs, as if what comes within the window came next.
    @Override
    public void next(Forecast into) {
      if (node != null) {
        for (long page : node.likely()) {
          into.add(page, node.share(page), 0, Expert.PEER);
        }
      }
    }
  }
}
