package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import it.unimi.dsi.fastutil.longs.LongArrayList;
import it.unimi.dsi.fastutil.longs.LongOpenHashSet;
import java.util.function.Consumer;

/// A copy that is given a list of pages at its start and records the list of those it touches.
///
/// All of the list is asked for at once. A host that takes less at a time is asked for the rest
/// after each request.
final class RunReplay implements Prefetcher.Copy {
  private final long[] list;
  private final Consumer<long[]> recorder;
  private final LongOpenHashSet seen = new LongOpenHashSet();
  private final LongArrayList touched = new LongArrayList();
  private int asked;
  private int next;

  /// @param list what to fetch, in order
  /// @param recorder what takes the pages that were touched, in order, when the run ends; not
  ///   called if there were none
  RunReplay(long[] list, Fetches fetches, Consumer<long[]> recorder) {
    this.list = list;
    this.recorder = recorder;
    ask(fetches);
  }

  @Override
  public void demanded(Request request, Fetches fetches) {
    for (long page = request.first(); page <= request.last(); page++) {
      if (seen.add(page)) {
        touched.add(page);
      }
    }
    ask(fetches);
    while (next < list.length && seen.contains(list[next])) {
      next++;
    }
  }

  private void ask(Fetches fetches) {
    while (asked < list.length && !fetches.isFull()) {
      long page = list[asked++];
      if (!seen.contains(page)) {
        fetches.fetch(page);
      }
    }
  }

  /// The first of the list that was not touched yet.
  @Override
  public void next(Forecast into) {
    if (next < list.length) {
      into.add(list[next], 1, 0, Expert.PEER);
    }
  }

  @Override
  public void stop() {
    if (!touched.isEmpty()) {
      recorder.accept(touched.toLongArray());
    }
  }
}
