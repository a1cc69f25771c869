package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Read-ahead in the manner of Linux: a window ahead of each sequential reader that doubles each
/// time the reader enters it.
///
/// After the on-demand readahead of the Linux kernel (mm/readahead.c; Wu et al., "On the Design of
/// a New Linux Readahead Framework", Operating Systems Review 42(5), 2008). A miss that continues a
/// reader opens a window of two to four times its request; the first page of what was read ahead is
/// marked, and demand for it brings the next window, twice as large up to the maximum, while the
/// reader still has a window to go. A hit without a mark does nothing.
///
/// It differs in three points. Linux keeps one state for each open file, and finds interleaved
/// readers of one file by the marks in its page cache; a host sees neither files nor marks of a
/// guest, so the last 16 readers of the disk are told apart here by position. A reader that skips
/// the mark but stays in its window has reached it. And at the start of a file Linux does not wait
/// for a second request: below a guest's file system every miss that continues nothing may be such
/// a start, so it opens the first window too. (`onJumps` false is a file read at random: only page
/// 0 is a start.)
///
/// Limitations: it learns nothing from one run to the next, goes only upwards, and by `onJumps`
/// random misses bring three pages each in vain.
public final class Readahead implements Prefetcher {
  /// The largest window by default: Linux' 128 KiB in its pages of 4 KiB. In extents of 64 KiB it
  /// is 2 MiB, one round trip of 10 ms at 200 MB/s.
  public static final int LARGEST_WINDOW = 32;

  /// The readers that are told apart.
  public static final int READERS = 16;

  private final int largest;
  private final boolean onJumps;

  /// With the largest window of Linux, and a first window on every miss.
  public Readahead() {
    this(LARGEST_WINDOW, true);
  }

  /// @param largest the largest window, in pages; at least 2
  /// @param onJumps whether a miss that continues no reader opens a window
  public Readahead(int largest, boolean onJumps) {
    this.largest = largest;
    this.onJumps = onJumps;
  }

  @Override
  public Copy start(Fetches fetches) {
    return new Readers();
  }

  @Override
  public long modelBytes() {
    return 0;
  }

  /// The first window of a request, itself included.
  private int opened(int count) {
    int power = Integer.highestOneBit(Math.max(1, 2 * Math.min(count, largest) - 1));
    if (power <= largest / 32) {
      return 4 * power;
    }
    return power <= largest / 4 ? 2 * power : largest;
  }

  private int grown(int window) {
    return Math.min(largest, window < largest / 16 ? 4 * window : 2 * window);
  }

  /// One reader. Without a window its end is the next page.
  private static final class Reader {
    private long last = -2;
    private long end = -1;
    private long marked = -1;
    private int window;
    private long touched;

    private boolean isContinuedBy(long page) {
      return last <= page && page <= end;
    }
  }

  private final class Readers implements Copy {
    private final Reader[] readers =
        Stream.generate(Reader::new).limit(READERS).toArray(Reader[]::new);
    private Reader active = readers[0];
    private long clock;

    @Override
    public void demanded(Request request, Fetches fetches) {
      Reader continued = continuedBy(request.first());
      active = continued == null ? restarted(request) : continued;
      active.touched = ++clock;
      active.last = Math.max(active.last, request.last());
      if (active.window > 0) {
        if (active.last >= active.marked) {
          active.window = grown(active.window);
          read(Math.max(active.end, active.last + 1), active.window, fetches);
        }
      } else {
        active.end = active.last + 1;
        if (request.missed() > 0 && (continued != null || onJumps || request.first() == 0)) {
          active.window = opened(request.count());
          int ahead = active.window - request.count();
          read(active.end, ahead > 0 ? ahead : active.window, fetches);
        }
      }
    }

    private @Nullable Reader continuedBy(long page) {
      Reader nearest = null;
      for (Reader reader : readers) {
        if (reader.isContinuedBy(page) && (nearest == null || reader.last > nearest.last)) {
          nearest = reader;
        }
      }
      return nearest;
    }

    private Reader restarted(Request request) {
      Reader oldest = readers[0];
      for (Reader reader : readers) {
        if (reader.touched < oldest.touched) {
          oldest = reader;
        }
      }
      oldest.last = request.last();
      oldest.window = 0;
      return oldest;
    }

    /// Marks the first page of a window and brings it as far as the host allows; it ends there.
    private void read(long from, int pages, Fetches fetches) {
      active.marked = from;
      active.end = from;
      while (active.end < from + pages && !fetches.isFull()) {
        fetches.fetch(active.end++);
      }
    }

    @Override
    public void next(Forecast into) {
      if (active.window > 0) {
        into.add(active.last + 1, 1, 0, Expert.PEER);
      }
    }
  }
}
