package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;

/// Always the next pages: one-block lookahead widened to `n`, without any condition (Smith,
/// "Sequential Program Prefetching in Memory Hierarchies", IEEE Computer 11(12), 1978).
public final class NextN implements Prefetcher {
  private final int n;

  /// @param n how many pages behind each request are fetched
  public NextN(int n) {
    this.n = n;
  }

  @Override
  public Copy start(Fetches fetches) {
    return new Sequence();
  }

  @Override
  public long modelBytes() {
    return 0;
  }

  private final class Sequence implements Copy {
    private long last = -1;

    @Override
    public void demanded(Request request, Fetches fetches) {
      last = request.last();
      for (int ahead = 1; ahead <= n && !fetches.isFull(); ahead++) {
        fetches.fetch(last + ahead);
      }
    }

    @Override
    public void next(Forecast into) {
      if (last >= 0) {
        into.add(last + 1, 1, 0, Expert.PEER);
      }
    }
  }
}
