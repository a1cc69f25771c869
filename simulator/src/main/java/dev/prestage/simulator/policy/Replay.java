package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import it.unimi.dsi.fastutil.HashCommon;
import it.unimi.dsi.fastutil.ints.IntArrayList;
import it.unimi.dsi.fastutil.longs.Long2ObjectOpenHashMap;
import it.unimi.dsi.fastutil.longs.LongArrayList;
import org.jspecify.annotations.Nullable;

/// Tolerant replay: finds where in an earlier log the program stands, follows it there despite
/// skipped and inserted requests, and fetches what came next in the log.
///
/// A match model, the unbounded context of the compressors that Vitter and Krishnan ("Optimal
/// Prefetching via Data Compression", FOCS 1991) turn into prefetchers: the last five requests, or
/// else the last two, are looked up where they stood last, be it in an earlier run or earlier in
/// this one. The tolerance is what makes it hold on real starts, whose order varies (as FaaSnap,
/// EuroSys 2022, replays groups of pages and not an exact order). A run begins at the beginning of
/// the last run.
///
/// Limitations: of the earlier occurrences only the latest is followed, with full confidence; logs
/// and index are unbounded, which flatters it.
public final class Replay implements Prefetcher {
  /// Requests of the log that may be passed over to find the present one again. This and the two
  /// below are the values that held best on boots and starts of real programs.
  public static final int SKIPPED = 24;

  /// Requests that are not in the log, one after the other, until the match is given up.
  public static final int INSERTED = 6;

  /// Requests of the log that are fetched ahead.
  public static final int LOOK_AHEAD = 32;

  private static final int SHORT = 2;
  private static final int LONG = 5;

  private final int lookAhead;
  private final Index afterTwo = new Index(SHORT);
  private final Index afterFive = new Index(LONG);
  private @Nullable Log lastRun;
  private long logged;

  /// @param lookAhead requests of the log that are fetched ahead
  public Replay(int lookAhead) {
    this.lookAhead = lookAhead;
  }

  /// The requests of one run, immediate repeats once.
  private static final class Log {
    private final LongArrayList first = new LongArrayList();
    private final IntArrayList length = new IntArrayList();

    int size() {
      return first.size();
    }

    /// Where a request stands at or behind a place, if it does so soon; else -1.
    int find(long page, int from) {
      int to = Math.min(size(), from + SKIPPED + 1);
      for (int i = from; i < to; i++) {
        if (first.getLong(i) == page) {
          return i;
        }
      }
      return -1;
    }
  }

  /// The place behind some requests.
  private record Place(Log log, int next) {}

  /// Where the same last requests stood before.
  private static final class Index {
    private final int length;
    private final Long2ObjectOpenHashMap<Place> latest = new Long2ObjectOpenHashMap<>();

    Index(int length) {
      this.length = length;
    }

    /// Files the end of a log, and tells where the same requests ended before.
    @Nullable Place file(Log log) {
      if (log.size() < length) {
        return null;
      }
      long hash = 0;
      for (int i = log.size() - length; i < log.size(); i++) {
        hash = HashCommon.mix(hash + log.first.getLong(i) + 1);
      }
      return latest.put(hash, new Place(log, log.size()));
    }
  }

  @Override
  public Copy start(Fetches fetches) {
    return new Follower(fetches);
  }

  /// A logged request takes 12 bytes; a place 24 and a slot of its map 12.
  @Override
  public long modelBytes() {
    return 12 * logged + 36L * (afterTwo.latest.size() + afterFive.latest.size());
  }

  private final class Follower implements Copy {
    private final Log own = new Log();
    private @Nullable Log followed;
    private int next;
    private int asked;
    private int inserted;

    Follower(Fetches fetches) {
      if (lastRun != null) {
        follow(new Place(lastRun, 0));
      }
      fetchAhead(fetches);
    }

    @Override
    public void demanded(Request request, Fetches fetches) {
      int size = own.size();
      if (size == 0 || own.first.getLong(size - 1) != request.first()) {
        advance(request);
      }
      fetchAhead(fetches);
    }

    private void advance(Request request) {
      // Sought before it is logged, or else a match in the own log would find the request itself.
      int found = followed == null ? -1 : followed.find(request.first(), next);
      own.first.add(request.first());
      own.length.add(request.count());
      logged++;
      Place two = afterTwo.file(own);
      Place five = afterFive.file(own);
      if (found >= 0) {
        next = found + 1;
        asked = Math.max(asked, next);
        inserted = 0;
      } else if (five != null) {
        follow(five);
      } else if (followed == null || ++inserted > INSERTED) {
        follow(two);
      }
    }

    private void follow(@Nullable Place place) {
      followed = place == null ? null : place.log;
      next = place == null ? 0 : place.next;
      asked = next;
      inserted = 0;
    }

    private void fetchAhead(Fetches fetches) {
      if (followed == null) {
        return;
      }
      int to = Math.min(followed.size(), next + lookAhead);
      for (; asked < to; asked++) {
        for (int i = 0; i < followed.length.getInt(asked); i++) {
          if (fetches.isFull()) {
            return;
          }
          fetches.fetch(followed.first.getLong(asked) + i);
        }
      }
    }

    @Override
    public void next(Forecast into) {
      if (followed != null && next < followed.size()) {
        into.add(followed.first.getLong(next), 1, 0, Expert.PEER);
      }
    }

    @Override
    public void stop() {
      if (own.size() > 0) {
        lastRun = own;
      }
    }
  }
}
