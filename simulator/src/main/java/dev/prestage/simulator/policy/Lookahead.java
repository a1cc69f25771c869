package dev.prestage.simulator.policy;

import dev.prestage.simulator.trace.Trace;
import it.unimi.dsi.fastutil.ints.IntArrayList;
import java.util.ArrayList;
import java.util.List;

/// The ceiling: the whole run is known at its start. Pages are asked for in the order in which they
/// will be needed, over the same way to the origin as everybody else's.
///
/// Where the cache holds all pages, the whole run is asked for at once. Where it does not, only
/// what is needed soon is, again after each request: what is brought too early is evicted by what
/// is brought next, or evicts what is needed sooner.
public final class Lookahead implements Policy {
  /// How many pages ahead it asks for in a cache that evicts: enough for the largest requests of
  /// usual traces (1 MiB is 256 pages) and for what a slow origin has on its way.
  private static final int SOON = 512;

  private final Trace trace;
  private final int window;
  private final boolean holdsAll;
  private final List<IntArrayList> requestsOf = new ArrayList<>();

  /// @param capacityPages of the cache
  public Lookahead(Trace trace, int capacityPages) {
    this.trace = trace;
    this.holdsAll = capacityPages >= trace.distinctPages();
    this.window = Math.clamp(capacityPages / 4, 1, SOON);
    trace.runs().forEach(_ -> requestsOf.add(new IntArrayList()));
    for (int request = 0; request < trace.requests(); request++) {
      requestsOf.get(trace.run(request)).add(request);
    }
  }

  @Override
  public Prefetcher.Copy start(int number, Trace.Run run, long nowNanos, Fetches fetches) {
    Sight sight = new Sight(requestsOf.get(number));
    sight.ask(fetches);
    return sight;
  }

  @Override
  public long modelBytes() {
    return 0;
  }

  private final class Sight implements Prefetcher.Copy {
    private final IntArrayList requests;
    private int position;
    private int asked;

    Sight(IntArrayList requests) {
      this.requests = requests;
    }

    @Override
    public void demanded(Request request, Fetches fetches) {
      position++;
      ask(fetches);
    }

    private void ask(Fetches fetches) {
      asked = holdsAll ? Math.max(asked, position) : position;
      int left = holdsAll ? Integer.MAX_VALUE : window;
      while (asked < requests.size() && left > 0 && !fetches.isFull()) {
        int request = requests.getInt(asked);
        int pages = Math.min(left, trace.count(request));
        for (int i = 0; i < pages; i++) {
          fetches.fetch(trace.first(request) + i);
        }
        left -= pages;
        asked += fetches.isFull() ? 0 : 1;
      }
    }
  }
}
