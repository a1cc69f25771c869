package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import it.unimi.dsi.fastutil.longs.LongOpenHashSet;

/// Leap: the distance that most of the recent accesses kept, and as many pages along it as were of
/// use the last time.
///
/// Al Maruf and Chowdhury, "Effectively Prefetching Remote Memory with Leap" (USENIX ATC 2020). The
/// trend is the majority (Boyer and Moore's vote) of the distances between accesses, in the newest
/// part of the history first and in twice as much until there is one, so that noise between the
/// accesses of a stream does not hide it. A miss fetches along the trend: one page if it follows
/// the trend and nothing fetched before was used; the next power of two above what was used since
/// the last miss, if anything was; never less than half as many as the last time, else. Without a
/// majority the last trend holds. A page that is demanded while its fetch is on the way is no miss
/// and was of use, as in the swap cache for which Leap was built.
///
/// The paper's history is 32 distances and its window at most 8 pages; that the newest eighth of
/// the history (4 distances) is looked at first is a choice of ours. Its accesses are page faults,
/// so the pages of a request are accesses one after the other here, and immediate repeats are none.
/// As there, every copy has a history of its own.
///
/// Limitations: it acts at misses only, so the page behind each window is always waited for, and
/// one copy that reads at several places at once has no majority.
public final class Stride implements Prefetcher {
  /// The distances that are remembered, by default.
  public static final int HISTORY = 32;

  /// The share of them that is looked at first is one over this, by default.
  public static final int SPLIT = 8;

  /// The pages fetched at a time, by default.
  public static final int LARGEST_WINDOW = 8;

  private final int history;
  private final int split;
  private final int largest;

  /// With the paper's history and window.
  public Stride() {
    this(HISTORY, SPLIT, LARGEST_WINDOW);
  }

  /// @param history how many distances are remembered
  /// @param split one over the share of them that is looked at first; at most `history`
  /// @param largest how many pages are fetched at a time
  public Stride(int history, int split, int largest) {
    this.history = history;
    this.split = split;
    this.largest = largest;
  }

  @Override
  public Copy start(Fetches fetches) {
    return new Trend();
  }

  /// Nothing is learnt for another run.
  @Override
  public long modelBytes() {
    return 0;
  }

  private final class Trend implements Copy {
    /// No majority: repeats are no accesses, so no distance is 0.
    private static final long NONE = 0;

    private final long[] distances = new long[history];

    /// What was fetched and neither used nor evicted nor overtaken yet.
    private final LongOpenHashSet fetched = new LongOpenHashSet();

    private int recorded;
    private long last = -1;
    private long trend = NONE;
    private int window;
    private int used;

    @Override
    public void demanded(Request request, Fetches fetches) {
      long distance = last < 0 ? NONE : request.first() - last;
      record(distance);
      for (int page = 1; page < Math.min(request.count(), history + 1); page++) {
        record(1);
      }
      last = request.last();
      int overtaken = overtaken(request);
      used += overtaken;
      if (request.missed() > overtaken) {
        long majority = majority();
        trend = majority == NONE ? trend : majority;
        window = window(distance != NONE && distance == trend);
        used = 0;
        for (int ahead = 1; ahead <= window && trend != NONE; ahead++) {
          long page = last + ahead * trend;
          if (fetches.fetch(page)) {
            fetched.add(page);
          }
        }
      }
    }

    /// How many pages were demanded before their fetch ended: nobody said that they were used.
    private int overtaken(Request request) {
      int overtaken = 0;
      for (long page = request.first(); page <= request.last(); page++) {
        overtaken += fetched.remove(page) ? 1 : 0;
      }
      return overtaken;
    }

    private void record(long distance) {
      if (distance != NONE) {
        distances[recorded++ % history] = distance;
      }
    }

    /// The distance that more than half of a part of the history kept. What is not recorded yet
    /// keeps none.
    private long majority() {
      long majority = NONE;
      for (int part = history / split; part <= history && majority == NONE; part *= 2) {
        majority = majority(part);
      }
      return majority;
    }

    private long majority(int part) {
      int known = Math.min(part, recorded);
      long candidate = NONE;
      int lead = 0;
      for (int back = 1; back <= known; back++) {
        long distance = distances[(recorded - back) % history];
        if (lead == 0) {
          candidate = distance;
        }
        lead += distance == candidate ? 1 : -1;
      }
      int votes = 0;
      for (int back = 1; back <= known; back++) {
        votes += distances[(recorded - back) % history] == candidate ? 1 : 0;
      }
      return votes > part / 2 ? candidate : NONE;
    }

    private int window(boolean follows) {
      int wanted;
      if (used > 0) {
        wanted = Math.min(largest, Integer.highestOneBit(used) * 2);
      } else {
        wanted = follows ? 1 : 0;
      }
      return Math.max(wanted, window / 2);
    }

    @Override
    public void next(Forecast into) {
      long majority = majority();
      if (majority != NONE && last + majority >= 0) {
        into.add(last + majority, 1, 0, Expert.PEER);
      }
    }

    @Override
    public void used(long page) {
      fetched.remove(page);
      used++;
    }

    @Override
    public void wasted(long page) {
      fetched.remove(page);
    }
  }
}
