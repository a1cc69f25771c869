package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import it.unimi.dsi.fastutil.longs.Long2ObjectOpenHashMap;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// AMP: for each sequential stream, how much to fetch and how early, adapted to what became of it.
///
/// Gill and Bathen, "AMP: Adaptive Multi-stream Prefetching in a Shared Cache" (FAST 2007). A
/// stream fetches batches of `degree` pages, the next one when its reader comes within `distance`
/// pages of the end of the last. The degree grows by the size of a request when the last page of a
/// batch is demanded, because then the batch outlived its wait in the cache. For each page that is
/// evicted unused it shrinks by one, and the distance with it. The distance grows by the size of a
/// request when demand overtakes a fetch, and stays below the degree.
///
/// It differs in four points. The paper keeps the two numbers with the pages in the cache; a host's
/// cache is not ours, so they are kept with the last 64 streams, and a stream that was forgotten
/// starts anew. For the same reason a page that nobody used has no second chance before it is
/// evicted. A stream starts with 4 pages, as the first window of [Readahead], and a distance of 1;
/// the reimplementation by Mithril's authors (mimircache, `AMP.c`) starts with one read and 0. And
/// the degree stops at 32, what a host takes at a time; there it stops at 256.
///
/// Limitations: it fetches only behind a request that continues another, and the degree grows
/// slowly where requests are small.
public final class Amp implements Prefetcher {
  /// The pages of a stream's first batch, by default.
  public static final int FIRST_DEGREE = 4;

  /// The pages of a batch at the most, by default.
  public static final int LARGEST_DEGREE = 32;

  private static final int STREAMS = 64;

  private final int firstDegree;
  private final int largestDegree;

  /// With the default degrees.
  public Amp() {
    this(FIRST_DEGREE, LARGEST_DEGREE);
  }

  /// @param firstDegree the pages of a stream's first batch; at least 2
  /// @param largestDegree the pages of a batch at the most
  public Amp(int firstDegree, int largestDegree) {
    this.firstDegree = firstDegree;
    this.largestDegree = largestDegree;
  }

  @Override
  public Copy start(Fetches fetches) {
    return new Streams();
  }

  /// Nothing is learnt for another run.
  @Override
  public long modelBytes() {
    return 0;
  }

  /// One reader. Without a batch its end is the next page.
  private final class Stream {
    private long last = -2;
    private long end = -1;
    private boolean sequential;
    private int requestPages;
    private int degree = firstDegree;
    private int distance = 1;
    private long touched;

    private boolean isContinuedBy(long page) {
      return last <= page && page <= end;
    }

    private void grow() {
      degree = Math.min(largestDegree, degree + requestPages);
    }

    private void shrink() {
      degree = Math.max(1, degree - 1);
      distance = Math.max(0, Math.min(distance, degree) - 1);
    }

    private void startEarlier() {
      distance = Math.min(degree - 1, distance + requestPages);
    }
  }

  /// Pages that were fetched together.
  private record Batch(Stream stream, long last) {}

  private final class Streams implements Copy {
    private final Stream[] streams = new Stream[STREAMS];

    /// What was fetched and neither used nor evicted nor overtaken yet.
    private final Long2ObjectOpenHashMap<Batch> fetched = new Long2ObjectOpenHashMap<>();

    private Stream active = new Stream();
    private long clock;

    Streams() {
      Arrays.setAll(streams, _ -> new Stream());
    }

    @Override
    public void demanded(Request request, Fetches fetches) {
      Stream continued = continuedBy(request.first());
      active = continued == null ? restarted() : continued;
      active.touched = ++clock;
      active.requestPages = request.count();
      active.last = Math.max(active.last, request.last());
      if (isOvertaking(request)) {
        active.startEarlier();
      }
      if (active.sequential) {
        if (active.last >= active.end - 1 - active.distance) {
          fetchBatch(fetches);
        }
      } else {
        active.end = active.last + 1;
        if (continued != null && request.missed() > 0) {
          active.sequential = true;
          fetchBatch(fetches);
        }
      }
    }

    private @Nullable Stream continuedBy(long page) {
      Stream nearest = null;
      for (Stream stream : streams) {
        if (stream.isContinuedBy(page) && (nearest == null || stream.last > nearest.last)) {
          nearest = stream;
        }
      }
      return nearest;
    }

    private Stream restarted() {
      int oldest = 0;
      for (int i = 1; i < STREAMS; i++) {
        if (streams[i].touched < streams[oldest].touched) {
          oldest = i;
        }
      }
      streams[oldest] = new Stream();
      return streams[oldest];
    }

    /// Whether a page was demanded before its fetch ended: nobody said that it was used.
    private boolean isOvertaking(Request request) {
      int before = fetched.size();
      for (long page = request.first(); page <= request.last(); page++) {
        used(page);
      }
      return fetched.size() < before;
    }

    private void fetchBatch(Fetches fetches) {
      long from = Math.max(active.end, active.last + 1);
      Batch batch = new Batch(active, from + active.degree - 1);
      active.end = from;
      while (active.end <= batch.last && !fetches.isFull()) {
        if (fetches.fetch(active.end)) {
          fetched.put(active.end, batch);
        }
        active.end++;
      }
    }

    @Override
    public void next(Forecast into) {
      if (active.sequential) {
        into.add(active.last + 1, 1, 0, Expert.PEER);
      }
    }

    @Override
    public void used(long page) {
      Batch batch = fetched.remove(page);
      if (batch != null && page == batch.last) {
        batch.stream.grow();
      }
    }

    @Override
    public void wasted(long page) {
      Batch batch = fetched.remove(page);
      if (batch != null) {
        batch.stream.shrink();
      }
    }
  }
}
