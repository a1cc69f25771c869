package dev.prestage.simulator.cache;

import dev.prestage.simulator.trace.Trace;
import it.unimi.dsi.fastutil.Hash;
import it.unimi.dsi.fastutil.longs.Long2IntOpenHashMap;

/// Clairvoyant: evicts the page whose next use is furthest away (Belady, "A Study of Replacement
/// Algorithms for a Virtual-Storage Computer", IBM Systems Journal 5(2), 1966).
///
/// The ceiling of replacement: no policy that is filled by demand and takes in what it missed, as
/// all in this package do, misses less. Like the paper's MIN it must take in the missed page too; a
/// cache that might refuse a page could miss a little less.
///
/// A position of the trace is the next use of at most one page, so the positions at which the pages
/// here are wanted again say all: a hit is a position that is among them, the victim is the last of
/// them, and pages that are never wanted again need only be counted.
public final class Belady implements PageCache {
  private static final int NEVER = Integer.MAX_VALUE;

  private final Trace trace;
  private final int capacityPages;
  private final int[] nextUse;
  private final PositionSet wantedAt;
  private int wanted;
  private int neverWanted;

  private int position;
  private int request;
  private int pageOfRequest;

  /// @param trace what will be demanded: each page of each request, in order, once
  /// @param capacityPages how many pages it holds
  /// @throws IllegalArgumentException if it holds none
  /// @throws ArithmeticException if the trace has more pages than an array can number
  public Belady(Trace trace, int capacityPages) {
    if (capacityPages < 1) {
      throw new IllegalArgumentException("no cache of " + capacityPages + " pages");
    }
    this.trace = trace;
    this.capacityPages = capacityPages;
    this.nextUse = nextUses(trace);
    this.wantedAt = new PositionSet(Math.max(1, nextUse.length));
  }

  private static int[] nextUses(Trace trace) {
    int[] nextUse = new int[Math.toIntExact(trace.pages())];
    Long2IntOpenHashMap lastUse =
        new Long2IntOpenHashMap(trace.distinctPages(), Hash.FAST_LOAD_FACTOR);
    lastUse.defaultReturnValue(NEVER);
    int position = nextUse.length;
    for (int request = trace.requests() - 1; request >= 0; request--) {
      for (int page = trace.count(request) - 1; page >= 0; page--) {
        position--;
        nextUse[position] = lastUse.put(trace.first(request) + page, position);
      }
    }
    return nextUse;
  }

  /// Demands the trace's next page.
  ///
  /// @throws IllegalStateException if the trace has another page here, or ended
  @Override
  public boolean access(long page) {
    advance(page);
    boolean hit = wantedAt.contains(position);
    if (hit) {
      wantedAt.remove(position);
      wanted--;
    } else if (size() == capacityPages) {
      evict();
    }
    int next = nextUse[position];
    if (next == NEVER) {
      neverWanted++;
    } else {
      wantedAt.add(next);
      wanted++;
    }
    position++;
    return hit;
  }

  private void advance(long page) {
    if (request == trace.requests() || trace.first(request) + pageOfRequest != page) {
      throw new IllegalStateException("page " + page + " is not what the trace has at " + position);
    }
    pageOfRequest++;
    if (pageOfRequest == trace.count(request)) {
      pageOfRequest = 0;
      request++;
    }
  }

  private void evict() {
    if (neverWanted > 0) {
      neverWanted--;
    } else {
      wantedAt.remove(wantedAt.last());
      wanted--;
    }
  }

  int size() {
    return wanted + neverWanted;
  }
}
