package dev.prestage.simulator.trace;

import it.unimi.dsi.fastutil.longs.LongOpenHashSet;

/// Tells traces whose block ids were renumbered in the order of their first touches, as some
/// published ones were (the ARC paper's OLTP, the LIRS paper's traces). In them the id behind the
/// largest so far is always the next new block, so that whoever fetches what comes next looks
/// clairvoyant.
///
/// The sign is that nearly each new page is the largest so far plus one. A sequential scan has it
/// too, so accesses must also jump back between new pages, often and to many places: a scan that
/// comes by the same few metadata pages does not.
final class Renumbering {
  static final String WARNING =
      "The page numbers look renumbered in the order of first touches: the next number is always the"
          + " next new page, so results of prefetchers that go by neighbourhood mean nothing.";

  /// With fewer pages chance can look so.
  private static final int MIN_DISTINCT = 256;

  /// The share of new pages that must be the next number; the rest is for ids that were lost.
  private static final double NEXT_SHARE = 0.99;

  /// A jump goes back at least so far. Shorter ones are requests of a scan that overlap or overtake
  /// each other; 32 pages are the largest window of usual readahead.
  private static final int MIN_JUMP = 32;

  /// How many places must be jumped back to while new pages still come, as a share of the pages.
  private static final double JUMP_SHARE = 0.02;

  private Renumbering() {}

  /// Whether the trace's pages look renumbered. Says nothing about a trace of several devices,
  /// which have their own numbers.
  static boolean isLikely(Trace trace) {
    int distinct = trace.distinctPages();
    if (distinct < MIN_DISTINCT) {
      return false;
    }
    LongOpenHashSet again = new LongOpenHashSet();
    long largest = trace.first(0) - 1;
    long expected = trace.first(0);
    long next = 0;
    int jumps = 0;
    int jumpsBeforeLastNew = 0;
    for (int request = 0; request < trace.requests(); request++) {
      long first = trace.first(request);
      long end = first + trace.count(request);
      if (first <= largest - MIN_JUMP && first != expected && again.add(first)) {
        // Who follows what was read again is one reader behind another, and jumped once.
        jumps += again.contains(first - 1) ? 0 : 1;
        again.add(end - 1);
      }
      if (end > largest + 1) {
        next += end - Math.max(first, largest + 1) - (first > largest + 1 ? 1 : 0);
        largest = end - 1;
        jumpsBeforeLastNew = jumps;
      }
      expected = end;
    }
    return next >= NEXT_SHARE * distinct && jumpsBeforeLastNew >= JUMP_SHARE * distinct;
  }
}
