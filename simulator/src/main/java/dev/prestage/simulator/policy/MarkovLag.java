package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import it.unimi.dsi.fastutil.longs.Long2ObjectOpenHashMap;
import java.util.Arrays;
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
/// fetch can be in time. Tables are unbounded, which flatters it.
public final class MarkovLag implements Prefetcher {
  private final int nearest;
  private final int lags;
  private final int leastCount;
  private final List<Long2ObjectOpenHashMap<State>> tables;
  private final Long2ObjectOpenHashMap<State> nextRequest = new Long2ObjectOpenHashMap<>();
  private long successors;

  /// @param lead requests until a fetched page is usable; the distances are lead + 1 to lead + lags
  /// @param leastCount how often a request must have come at a distance to be fetched
  public MarkovLag(int lead, int lags, int leastCount) {
    this.nearest = lead + 1;
    this.lags = lags;
    this.leastCount = leastCount;
    this.tables = Stream.generate(Long2ObjectOpenHashMap<State>::new).limit(lags).toList();
  }

  /// What came after one request at one distance: requests by first page, each with its length when
  /// last seen.
  private static final class State {
    long[] first = new long[1];
    int[] length = new int[1];
    int[] count = new int[1];
    int size;
    int total;

    boolean add(long page, int pages) {
      total++;
      for (int i = 0; i < size; i++) {
        if (first[i] == page && length[i] == pages) {
          count[i]++;
          return false;
        }
      }
      if (size == first.length) {
        first = Arrays.copyOf(first, 2 * size);
        length = Arrays.copyOf(length, 2 * size);
        count = Arrays.copyOf(count, 2 * size);
      }
      first[size] = page;
      length[size] = pages;
      count[size++] = 1;
      return true;
    }

    /// The most frequent; of equals the earliest.
    int best() {
      int best = 0;
      for (int i = 1; i < size; i++) {
        if (count[i] > count[best]) {
          best = i;
        }
      }
      return best;
    }
  }

  @Override
  public Copy start(Fetches fetches) {
    return new Position();
  }

  /// A state is an object with three arrays (some 96 bytes) and a slot in its table (16); a
  /// successor takes 16 bytes.
  @Override
  public long modelBytes() {
    long states = nextRequest.size() + tables.stream().mapToLong(Map::size).sum();
    return 112 * states + 16 * successors;
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
        successors += state.add(request.first(), request.count()) ? 1 : 0;
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
        into.add(state.first[i], state.count[i] / (state.total + 0.5), 0, Expert.PEER);
      }
    }
  }
}
