package dev.prestage.dataplane.block;

import java.util.Arrays;

/// How often the extents of a file are touched, and when each moved last.
///
/// A count is halved for each [Moves#halving] without a touch. It is kept with the time of its last
/// touch in one word, and computed when it is asked for, so that nothing has to pass over all
/// extents. Threads: any; touches of the same extent at the same moment may count as one.
final class Touches {
  /// So often touched within a [Moves#halving], an extent of a slower tier is to be promoted.
  static final int HOT = 2;

  // The count is in the upper 8 bits, the time of the last touch in the lower 24.
  private static final int TIME_BITS = 24;
  private static final int TIME_MASK = (1 << TIME_BITS) - 1;
  private static final int MOST = 255;
  private static final int CHUNK_EXTENTS = 1024;
  private static final int[] NONE = {};

  /// Extents that became [#HOT] since the mover last looked.
  final AtomicBits hot;

  private final long visitNanos;
  private final int halvingVisits;
  private final int restVisits;
  private final int[][] touched;
  private final int[][] moved;

  Touches(int extents, Moves moves) {
    this.hot = new AtomicBits(extents);
    this.visitNanos = moves.visit().toNanos();
    this.halvingVisits = (int) Math.max(1, moves.halving().dividedBy(moves.visit()));
    this.restVisits = (int) moves.rest().dividedBy(moves.visit());
    int chunks = (extents + CHUNK_EXTENTS - 1) / CHUNK_EXTENTS;
    this.touched = new int[chunks][];
    this.moved = new int[chunks][];
    Arrays.fill(touched, NONE);
    Arrays.fill(moved, NONE);
  }

  /// Demand for an extent.
  void touch(int extent, long nowNanos) {
    int now = timeOf(nowNanos);
    int word = get(touched, extent);
    if (word != 0 && (word & TIME_MASK) == now) {
      return;
    }
    int count = Math.min(MOST, decayed(word, now) + 1);
    put(touched, extent, count << TIME_BITS | now);
    if (count >= HOT) {
      hot.set(extent);
    }
  }

  /// How often an extent was touched of late, 0 to 255.
  int frequency(int extent, long nowNanos) {
    return decayed(get(touched, extent), timeOf(nowNanos));
  }

  /// How many visits ago an extent was last touched; large if never.
  int age(int extent, long nowNanos) {
    int word = get(touched, extent);
    return word == 0 ? TIME_MASK : (timeOf(nowNanos) - word) & TIME_MASK;
  }

  /// Whether an extent has stayed for long enough where it is.
  boolean mayMove(int extent, long nowNanos) {
    int word = get(moved, extent);
    return word == 0 || ((timeOf(nowNanos) - word) & TIME_MASK) >= restVisits;
  }

  /// An extent came from another file, or stays for a while as if it had.
  void rest(int extent, long nowNanos) {
    put(moved, extent, 1 << TIME_BITS | timeOf(nowNanos));
  }

  /// Takes over what another file knows of an extent.
  void take(Touches from, int extent) {
    put(touched, extent, get(from.touched, extent));
  }

  /// An extent left the host.
  void forget(int extent) {
    if (get(touched, extent) != 0) {
      put(touched, extent, 0);
    }
  }

  private int timeOf(long nanos) {
    return (int) (nanos / visitNanos) & TIME_MASK;
  }

  private int decayed(int word, int now) {
    int halvings = ((now - word) & TIME_MASK) / halvingVisits;
    return halvings >= Byte.SIZE ? 0 : (word >>> TIME_BITS) >> halvings;
  }

  private static int get(int[][] chunks, int extent) {
    int[] chunk = chunks[extent / CHUNK_EXTENTS];
    return chunk.length == 0 ? 0 : chunk[extent % CHUNK_EXTENTS];
  }

  private void put(int[][] chunks, int extent, int word) {
    int at = extent / CHUNK_EXTENTS;
    int[] chunk = chunks[at];
    if (chunk.length == 0) {
      synchronized (this) {
        if (chunks[at].length == 0) {
          chunks[at] = new int[CHUNK_EXTENTS];
        }
        chunk = chunks[at];
      }
    }
    chunk[extent % CHUNK_EXTENTS] = word;
  }
}
