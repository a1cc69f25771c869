package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import it.unimi.dsi.fastutil.longs.Long2ObjectOpenHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Multi-lag Markov: for each of several distances, the request that most often came that many
/// requests after the current one.
///
/// The first-order table of Joseph and Grunwald ("Prefetching using Markov Predictors", ISCA 1997),
/// kept once for each distance, so that what is fetched is not only the next request but also what
/// a slow origin must be asked for early. The nearest distance is the first request for which a
/// fetch can be in time. A request is its first page where it is looked up, and first page and
/// length where it is foretold. Tables are unbounded, which flatters it.
public final class MarkovLag implements Prefetcher {
  private final int nearest;
  private final int lags;
  private final int leastCount;
  private final List<Long2ObjectOpenHashMap<State>> tables;
  private final Long2ObjectOpenHashMap<State> nextRequest = new Long2ObjectOpenHashMap<>();

  /// @param lead requests until a fetched page is usable; the distances are lead + 1 to lead + lags
  /// @param leastCount how often a request must have come at a distance to be fetched
  public MarkovLag(int lead, int lags, int leastCount) {
    this.nearest = lead + 1;
    this.lags = lags;
    this.leastCount = leastCount;
    this.tables = Stream.generate(Long2ObjectOpenHashMap<State>::new).limit(lags).toList();
  }

  /// What came most often after one request at one distance. A request that is none of the
  /// candidates costs each of them one count and takes the place of the weakest once that has none
  /// left, so what was frequent long ago gives way (Misra and Gries, "Finding Repeated Elements",
  /// Science of Computer Programming 2, 1982).
  private static final class State {
    private static final int CANDIDATES = 3;

    final long[] first = new long[CANDIDATES];
    final int[] length = new int[CANDIDATES];
    final int[] count = new int[CANDIDATES];
    int size;

    void add(long page, int pages) {
      for (int i = 0; i < size; i++) {
        if (first[i] == page && length[i] == pages) {
          count[i]++;
          return;
        }
      }
      int place = size < CANDIDATES ? size++ : weakened();
      if (count[place] == 0) {
        first[place] = page;
        length[place] = pages;
        count[place] = 1;
      }
    }

    private int weakened() {
      int weakest = 0;
      for (int i = 0; i < CANDIDATES; i++) {
        count[i] = Math.max(0, count[i] - 1);
        weakest = count[i] <= count[weakest] ? i : weakest;
      }
      return weakest;
    }

    /// The most frequent; of equals the earliest.
    int best() {
      int best = 0;
      for (int i = 1; i < size; i++) {
        best = count[i] > count[best] ? i : best;
      }
      return best;
    }

    int total() {
      int total = 0;
      for (int i = 0; i < size; i++) {
        total += count[i];
      }
      return total;
    }
  }

  @Override
  public Copy start(Fetches fetches) {
    return new Position();
  }

  /// A state is an object (40 bytes) with three arrays (40, 32, 32) and a slot in its table (16).
  @Override
  public long modelBytes() {
    return 160L * (nextRequest.size() + tables.stream().mapToLong(Map::size).sum());
  }

  private final class Position implements Copy {
    private final long[] recent = new long[nearest + lags];
    private int seen;

    @Override
    public void demanded(Request request, Fetches fetches) {
      for (int lag = 0; lag < lags; lag++) {
        learn(tables.get(lag), nearest + lag, request);
      }
      learn(nextRequest, 1, request);
      recent[seen++ % recent.length] = request.first();
      for (int lag = 0; lag < lags && !fetches.isFull(); lag++) {
        fetch(tables.get(lag).get(request.first()), fetches);
      }
    }

    private void learn(Long2ObjectOpenHashMap<State> table, int distance, Request request) {
      if (seen >= distance) {
        long from = recent[(seen - distance) % recent.length];
        State state = table.computeIfAbsent(from, _ -> new State());
        state.add(request.first(), request.count());
      }
    }

    private void fetch(@Nullable State state, Fetches fetches) {
      if (state == null) {
        return;
      }
      int best = state.best();
      if (state.count[best] >= leastCount) {
        for (int i = 0; i < state.length[best]; i++) {
          fetches.fetch(state.first[best] + i);
        }
      }
    }

    @Override
    public void next(Forecast into) {
      State state = seen == 0 ? null : nextRequest.get(recent[(seen - 1) % recent.length]);
      for (int i = 0; state != null && i < state.size; i++) {
        double share = state.count[i] / (state.total() + 0.5);
        into.add(state.first[i], share, 0, Expert.PEER);
      }
    }
  }
}
