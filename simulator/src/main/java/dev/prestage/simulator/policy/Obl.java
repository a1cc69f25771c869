package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;

/// One-block lookahead behind a sequential run: the next page, once enough pages came one after the
/// other.
///
/// Smith, "Sequential Program Prefetching in Memory Hierarchies" (IEEE Computer 11(12), 1978),
/// under the condition that libCacheSim puts on it (`prefetch/OBL.c`): the `confidence` pages
/// before the last one are its predecessors. There the default is 4 and every page is a request;
/// here a request is looked at as a whole, and with the 1 of the published rows any request of two
/// pages is sequential.
///
/// Limitations: one page ahead is late as soon as the origin is slower than the next request, and a
/// second reader breaks the run.
public final class Obl implements Prefetcher {
  /// How many predecessors make a run, by default.
  public static final int CONFIDENCE = 1;

  private final int confidence;

  /// With the confidence of the published rows.
  public Obl() {
    this(CONFIDENCE);
  }

  /// @param confidence how many pages before the last one must be its predecessors; at least 1
  public Obl(int confidence) {
    this.confidence = confidence;
  }

  @Override
  public Copy start(Fetches fetches) {
    return new Run();
  }

  @Override
  public long modelBytes() {
    return 0;
  }

  private final class Run implements Copy {
    private long last = -2;
    private long length;

    @Override
    public void demanded(Request request, Fetches fetches) {
      length = request.first() == last + 1 ? length + request.count() : request.count();
      last = request.last();
      if (isSequential()) {
        fetches.fetch(last + 1);
      }
    }

    private boolean isSequential() {
      return length > confidence;
    }

    @Override
    public void next(Forecast into) {
      if (isSequential()) {
        into.add(last + 1, 1, 0, Expert.PEER);
      }
    }
  }
}
