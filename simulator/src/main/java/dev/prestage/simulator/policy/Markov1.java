package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import it.unimi.dsi.fastutil.longs.Long2ObjectOpenHashMap;
import org.jspecify.annotations.Nullable;

/// First-order Markov table: for each request the few that followed it, the most frequent first.
///
/// After Joseph and Grunwald ("Prefetching using Markov Predictors", ISCA 1997), who keep four
/// successors for each miss address and rank them. A request is known by its first page, immediate
/// repeats are one request, and a successor is fetched as a whole, as long as it last was. Theirs
/// are ranked by recency in a table of fixed size; here they are ranked by count, and of equals the
/// latest first, because the count also gives the probability below which a fetch is not worth it.
///
/// Limitations: it looks one request ahead, so with an origin slower than the program it is late;
/// the table is unbounded, which flatters it.
public final class Markov1 implements Prefetcher {
  /// Successors kept for a request (four in the paper).
  public static final int SUCCESSORS = 4;

  /// A successor rarer than this, in percent, is not fetched. The paper has no such bound; one in
  /// ten keeps at most nine fetches in vain for each that is used.
  public static final int LEAST_PERCENT = 10;

  private final Long2ObjectOpenHashMap<Row> table = new Long2ObjectOpenHashMap<>();

  private final double leastProbability;

  /// @param leastPercent a successor that comes less often is not fetched
  public Markov1(int leastPercent) {
    this.leastProbability = leastPercent / 100.0;
  }

  /// Successors by rank.
  private static final class Row {
    private final long[] first = new long[SUCCESSORS];
    private final int[] length = new int[SUCCESSORS];
    private final int[] count = new int[SUCCESSORS];
    private int size;
    private int total;

    /// Counts a successor; one that is new takes the place of the last.
    void add(Request request) {
      total++;
      int rank = 0;
      while (rank < size && first[rank] != request.first()) {
        rank++;
      }
      int now = 1;
      if (rank < size) {
        now += count[rank];
      } else if (size < SUCCESSORS) {
        size++;
      } else {
        rank--;
      }
      for (; rank > 0 && count[rank - 1] <= now; rank--) {
        first[rank] = first[rank - 1];
        length[rank] = length[rank - 1];
        count[rank] = count[rank - 1];
      }
      first[rank] = request.first();
      length[rank] = request.count();
      count[rank] = now;
    }

    double probability(int rank) {
      return (double) count[rank] / total;
    }
  }

  @Override
  public Copy start(Fetches fetches) {
    return new Position();
  }

  /// A row is an object with three arrays (136 bytes) and a slot of the table (16).
  @Override
  public long modelBytes() {
    return 152L * table.size();
  }

  private final class Position implements Copy {
    private long last = -1;
    private @Nullable Row row;

    @Override
    public void demanded(Request request, Fetches fetches) {
      if (request.first() == last) {
        return;
      }
      if (last >= 0) {
        table.computeIfAbsent(last, _ -> new Row()).add(request);
      }
      last = request.first();
      row = table.get(last);
      if (row != null) {
        fetch(row, fetches);
      }
    }

    private void fetch(Row row, Fetches fetches) {
      for (int rank = 0; rank < row.size; rank++) {
        if (row.probability(rank) < leastProbability) {
          return;
        }
        for (int i = 0; i < row.length[rank] && !fetches.isFull(); i++) {
          fetches.fetch(row.first[rank] + i);
        }
      }
    }

    @Override
    public void next(Forecast into) {
      if (row != null) {
        for (int rank = 0; rank < row.size; rank++) {
          into.add(row.first[rank], row.probability(rank), 0, Expert.PEER);
        }
      }
    }
  }
}
