package dev.prestage.simulator.policy;

import it.unimi.dsi.fastutil.longs.Long2LongLinkedOpenHashMap;
import it.unimi.dsi.fastutil.longs.Long2ObjectLinkedOpenHashMap;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.LongStream;

/// Mithril: pages that were missed at the same times, and not often, belong together, and one of
/// them fetches the other.
///
/// After Yang et al. ("MITHRIL: Mining Sporadic Associations for Cache Prefetching", SoCC 2017).
/// The times of missed pages are recorded; a page missed often enough moves to the mining table; a
/// full mining table is mined for pairs and emptied. Defaults and division of the memory are those
/// of libCacheSim, so that the numbers compare. The clock counts demanded pages, and those of one
/// request have one time; each page of a request is looked up.
///
/// As there, times are cut to 15 bits, which now and then pairs pages that have nothing to do with
/// each other. Different from there: a page that was fetched and is evicted unused gets no second
/// turn in the cache, which is not the policy's.
///
/// Limitations: at most [#LISTED] pages follow a page, so it looks one or two requests ahead; it
/// knows nothing that was not missed at least twice before.
public final class Mithril implements Prefetcher {
  /// Pages belong together if their times differ by at most this, in demanded pages
  /// (lookahead-range).
  public static final int LOOK_AHEAD = 20;

  /// Misses until a page is mined (min-support).
  public static final int LEAST_SUPPORT = 2;

  /// A page missed more often than this before it is mined is no sporadic one (max-support).
  public static final int MOST_SUPPORT = 8;

  /// By how many times two pages may disagree, in number and in place (confidence).
  public static final int DISAGREEMENT = 1;

  /// Pages that follow a page, the latest found (pf-list-size).
  public static final int LISTED = 2;

  /// Pages in the mining table when it is mined (mining-threshold / min-support).
  public static final int MINED = 5120 / LEAST_SUPPORT;

  /// A page in the mining table: its id, a place and eight times of two bytes.
  private static final int MINING_BYTES = 28;

  /// A page in the recording table: its id, a place and a word for its times.
  private static final int RECORD_BYTES = 20;

  /// A page with those that follow it: three ids and a place.
  private static final int ASSOCIATION_BYTES = 28;

  /// Times have 15 bits.
  private static final long TIME_MASK = (1 << 15) - 1;

  private static final long NEVER = -1;

  private final int listed;
  private final int records;
  private final int associations;
  private final Long2LongLinkedOpenHashMap recorded = new Long2LongLinkedOpenHashMap();
  private final Long2ObjectLinkedOpenHashMap<Times> mining = new Long2ObjectLinkedOpenHashMap<>();
  private final Long2ObjectLinkedOpenHashMap<long[]> followers =
      new Long2ObjectLinkedOpenHashMap<>();
  private long now;

  /// @param memoryBytes what its tables may take; libCacheSim gives it a tenth of the cache. Of
  ///   this 2/7 are for recording
  /// @param listed how many pages may follow a page
  public Mithril(long memoryBytes, int listed) {
    this.listed = listed;
    recorded.defaultReturnValue(NEVER);
    this.records = (int) Math.max(1, Math.min(memoryBytes, Integer.MAX_VALUE) / 70);
    long rest = memoryBytes - (long) RECORD_BYTES * records - (long) MINING_BYTES * MINED;
    this.associations = (int) Math.max(1, rest / ASSOCIATION_BYTES);
  }

  /// When a page was missed.
  private static final class Times {
    private final long page;
    private final long[] time = new long[MOST_SUPPORT];
    private int size;

    Times(long page) {
      this.page = page;
    }

    void add(long now) {
      time[size++] = now;
    }

    /// Whether a page whose first miss came at the same time or later belongs to this one.
    ///
    /// @param nearest whether it is the first such page: the others must once have been missed
    ///   right after or before this one
    boolean isWith(Times other, boolean nearest) {
      boolean isWith = nearest;
      int disagreements = 0;
      // libCacheSim leaves out the last of the times, and so does this.
      for (int i = 0; i < Math.min(size, other.size) - 1; i++) {
        long apart = Math.abs(time[i] - other.time[i]);
        if (apart > LOOK_AHEAD && ++disagreements > DISAGREEMENT) {
          return false;
        }
        isWith |= apart == 1;
      }
      return isWith;
    }
  }

  @Override
  public Copy start(Fetches fetches) {
    return new Clock();
  }

  private final class Clock implements Copy {
    @Override
    public void demanded(Request request, Fetches fetches) {
      for (int i = 0; i < request.missed(); i++) {
        record(request.missedPages().getLong(i));
      }
      now += request.count();
      for (long page = request.first(); page <= request.last() && !fetches.isFull(); page++) {
        fetchFollowers(page, fetches);
      }
    }

    private void fetchFollowers(long page, Fetches fetches) {
      long[] pages = followers.get(page);
      for (int i = 0; pages != null && i < pages.length; i++) {
        fetches.fetch(pages[i]);
      }
    }
  }

  private void record(long page) {
    Times times = mining.get(page);
    if (times != null) {
      if (times.size == MOST_SUPPORT) {
        mining.remove(page);
      } else {
        times.add(now & TIME_MASK);
      }
      return;
    }
    long before = recorded.remove(page);
    if (before == NEVER) {
      if (recorded.size() == records) {
        recorded.removeFirstLong();
      }
      recorded.put(page, now & TIME_MASK);
      return;
    }
    times = new Times(page);
    times.add(before);
    times.add(now & TIME_MASK);
    mining.put(page, times);
    if (mining.size() == MINED) {
      mine();
    }
  }

  private void mine() {
    List<Times> rows = new ArrayList<>(mining.values());
    mining.clear();
    rows.sort(Comparator.comparingLong(row -> row.time[0]));
    for (int i = 0; i < rows.size(); i++) {
      Times row = rows.get(i);
      boolean nearest = true;
      for (int j = i + 1; j < rows.size(); j++) {
        Times other = rows.get(j);
        if (other.time[0] - row.time[0] > LOOK_AHEAD) {
          break;
        }
        if (Math.abs(row.size - other.size) <= DISAGREEMENT) {
          if (row.isWith(other, nearest)) {
            associate(row.page, other.page);
          }
          nearest = false;
        }
      }
    }
  }

  private void associate(long page, long follower) {
    long[] known = followers.get(page);
    if (known == null) {
      if (followers.size() == associations) {
        followers.removeFirst();
      }
      followers.put(page, new long[] {follower});
    } else if (LongStream.of(known).noneMatch(one -> one == follower)) {
      int kept = Math.min(known.length, listed - 1);
      long[] pages = Arrays.copyOfRange(known, known.length - kept, known.length + 1);
      pages[kept] = follower;
      followers.put(page, pages);
    }
  }

  @Override
  public long modelBytes() {
    return (long) RECORD_BYTES * recorded.size()
        + (long) MINING_BYTES * mining.size()
        + (long) ASSOCIATION_BYTES * followers.size();
  }
}
