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
/// is brought next, or evicts what is needed sooner. What cannot come in time is not asked for.
public final class Lookahead implements Policy {
  /// How many pages ahead it asks for in a cache that evicts: enough for the largest requests of
  /// usual traces (1 MiB is 256 pages) and for what a slow origin has on its way.
  private static final int SOON = 512;

  private final Trace trace;
  private final int lead;
  private final int window;
  private final boolean holdsAll;
  private final List<IntArrayList> requestsOf = new ArrayList<>();

  /// @param capacityPages of the cache
  /// @param lead requests until a fetched page is usable; 0 in closed loop
  public Lookahead(Trace trace, int capacityPages, int lead) {
    this.trace = trace;
    this.lead = lead;
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
    sight.ask(sight.requests.getInt(0), fetches);
    return sight;
  }

  @Override
  public long modelBytes() {
    return 0;
  }

  private final class Sight implements Prefetcher.Copy {
    private final IntArrayList requests;
    private int position;
    private int inTime;
    private int asked;

    Sight(IntArrayList requests) {
      this.requests = requests;
    }

    @Override
    public void demanded(Request request, Fetches fetches) {
      ask(requests.getInt(position++) + 1, fetches);
    }

    /// @param coming the trace's next request
    private void ask(int coming, Fetches fetches) {
      inTime = Math.max(inTime, position);
      while (inTime < requests.size() && requests.getInt(inTime) - coming < lead) {
        inTime++;
      }
      asked = holdsAll ? Math.max(asked, inTime) : inTime;
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
