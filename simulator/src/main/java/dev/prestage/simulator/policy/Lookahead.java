package dev.prestage.simulator.policy;

import dev.prestage.simulator.trace.Trace;
import it.unimi.dsi.fastutil.ints.IntArrayList;
import it.unimi.dsi.fastutil.longs.LongOpenHashSet;
import java.util.ArrayList;
import java.util.List;

/// The ceiling: the whole run is known at its start. Pages are asked for in the order in which they
/// will be needed, over the same way to the origin as everybody else's.
///
/// It looks as far ahead as half of the cache holds, so that what it brings is not evicted by what
/// it brings next.
public final class Lookahead implements Policy {
  private final Trace trace;
  private final int window;
  private final List<IntArrayList> requestsOf = new ArrayList<>();

  /// @param capacityPages of the cache
  public Lookahead(Trace trace, int capacityPages) {
    this.trace = trace;
    this.window = Math.max(1, capacityPages / 2);
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

  /// A queue of what comes: `ahead` is the first request that was not asked for, and the window
  /// holds the distinct pages from the current request up to there.
  private final class Sight implements Prefetcher.Copy {
    private final IntArrayList requests;
    private final LongOpenHashSet inWindow = new LongOpenHashSet();
    private int position;
    private int ahead;
    private int pageAhead;

    Sight(IntArrayList requests) {
      this.requests = requests;
    }

    @Override
    public void demanded(Request request, Fetches fetches) {
      position++;
      if (ahead < position) {
        ahead = position;
        pageAhead = 0;
      }
      for (int i = 0; i < request.count(); i++) {
        inWindow.remove(request.first() + i);
      }
      ask(fetches);
    }

    private void ask(Fetches fetches) {
      while (ahead < requests.size() && !fetches.isFull() && inWindow.size() < window) {
        int request = requests.getInt(ahead);
        if (pageAhead == trace.count(request)) {
          ahead++;
          pageAhead = 0;
        } else {
          long page = trace.first(request) + pageAhead++;
          inWindow.add(page);
          fetches.fetch(page);
        }
      }
    }
  }
}
