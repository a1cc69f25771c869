package dev.prestage.simulator.replay;

import dev.prestage.simulator.policy.Fetches;
import dev.prestage.simulator.policy.Policy;
import dev.prestage.simulator.policy.Prefetcher;
import dev.prestage.simulator.policy.Request;
import dev.prestage.simulator.trace.Trace;
import it.unimi.dsi.fastutil.ints.IntArrayFIFOQueue;
import it.unimi.dsi.fastutil.longs.Long2IntOpenHashMap;
import it.unimi.dsi.fastutil.longs.LongArrayFIFOQueue;
import it.unimi.dsi.fastutil.longs.LongArrayList;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// A trace replayed at its own order, whatever misses: what a policy does to the miss ratio of one
/// LRU cache.
///
/// A request is atomic: all of its pages are demanded, then the policy learns, then it may ask for
/// pages. What it asks for is there `lead` requests later than the next one; a page that is
/// demanded before that is a miss, and its fetch was in vain. What it asks for when a run starts
/// was asked for after the request before, and counts with what it asks for after the run's first
/// one. The simulated clock counts requests, so that traces without times compare with those that
/// have them.
public final class OpenLoop {
  /// The pages that a policy may ask for after one request.
  public static final int FETCHES_PER_REQUEST = 32;

  /// From one request to the next on the simulated clock.
  public static final long REQUEST_NANOS = 1_000_000;

  /// There is one host.
  private static final int HOST = 0;

  private final Trace trace;
  private final Policy policy;
  private final int lead;
  private final HostCache cache;
  private final Prefetcher.@Nullable Copy[] copies;
  private final int[] lastRequest;
  private final Link link = new Link();
  private final Long2IntOpenHashMap dueRequest = new Long2IntOpenHashMap();
  private final LongArrayFIFOQueue inFlight = new LongArrayFIFOQueue();
  private final IntArrayFIFOQueue inFlightRun = new IntArrayFIFOQueue();
  private final IntArrayFIFOQueue inFlightDue = new IntArrayFIFOQueue();
  private final LongArrayList missed = new LongArrayList();
  private final NextAccess next = new NextAccess();
  private final CpuTime cpu = new CpuTime();
  private long missedPages;
  private long missedRequests;
  private long issued;
  private long used;

  /// What came of it.
  ///
  /// @param demandMissRatio missed pages per demanded page
  /// @param requestMissRatio requests with a missed page, per request
  /// @param issued pages fetched ahead
  /// @param used of these, demanded while they were there
  /// @param uselessPerDemandPage those that were not, per demanded page
  /// @param cpuMicrosPerRequest processor time of policy and cache together
  /// @param policyP99Micros what the slowest hundredth of the policy's steps takes at least
  /// @param modelBytes the memory that holds what was learnt
  /// @param bitsPerAccess loss of the policy's forecast of the next access, or NaN if it makes none
  /// @param nextAccuracy how often its favourite was the next access, or NaN
  public record Result(
      double demandMissRatio,
      double requestMissRatio,
      long issued,
      long used,
      double uselessPerDemandPage,
      double cpuMicrosPerRequest,
      double policyP99Micros,
      long modelBytes,
      double bitsPerAccess,
      double nextAccuracy) {
    /// Used per issued page; 1 if none was issued.
    public double precision() {
      return issued == 0 ? 1 : (double) used / issued;
    }
  }

  /// @param capacity of the cache, in pages
  /// @param lead in requests, 0 or more
  public OpenLoop(Trace trace, Policy policy, int capacity, int lead) {
    this.trace = trace;
    this.policy = policy;
    this.lead = lead;
    this.cache = new HostCache(capacity, this::evicted);
    this.copies = new Prefetcher.Copy[trace.runs().size()];
    this.lastRequest = lastRequests(trace);
  }

  private static int[] lastRequests(Trace trace) {
    int[] last = new int[trace.runs().size()];
    for (int request = 0; request < trace.requests(); request++) {
      last[trace.run(request)] = request;
    }
    return last;
  }

  /// Replays the trace.
  public Result run() {
    long[] lastToken = new long[copies.length];
    Arrays.fill(lastToken, -1);
    for (int request = 0; request < trace.requests(); request++) {
      int run = trace.run(request);
      link.open(request, run);
      Prefetcher.Copy copy = copies[run];
      if (copy == null) {
        copy = policy.start(run, trace.runs().get(run), request * REQUEST_NANOS, link);
        copies[run] = copy;
      }
      arrive(request);
      link.demanded();
      if (trace.first(request) != lastToken[run]) {
        next.score(copy, trace.first(request));
        lastToken[run] = trace.first(request);
      }
      demand(request);
      missedPages += missed.size();
      missedRequests += missed.isEmpty() ? 0 : 1;
      decide(copy, request);
      if (request == lastRequest[run]) {
        copy.stop();
        copies[run] = null;
      }
    }
    return result();
  }

  private void arrive(int request) {
    while (!inFlight.isEmpty() && inFlightDue.firstInt() <= request) {
      int due = inFlightDue.dequeueInt();
      int run = inFlightRun.dequeueInt();
      long page = inFlight.dequeueLong();
      if (dueRequest.get(page) == due) {
        dueRequest.remove(page);
        cache.insert(page, run);
        policy.arrived(HOST, page);
      }
    }
  }

  private void demand(int request) {
    missed.clear();
    for (int i = 0; i < trace.count(request); i++) {
      long page = trace.first(request) + i;
      int slot = cache.find(page);
      if (slot >= 0) {
        proven(page, cache.demand(slot));
      } else {
        missed.add(page);
        dueRequest.remove(page);
        cache.insert(page, HostCache.PROVEN);
      }
    }
  }

  private void proven(long page, int run) {
    if (run != HostCache.PROVEN) {
      used++;
      Prefetcher.Copy copy = copies[run];
      if (copy != null) {
        copy.used(page);
      }
    }
  }

  private void evicted(long page, int run) {
    policy.evicted(HOST, page);
    if (run != HostCache.PROVEN) {
      Prefetcher.Copy copy = copies[run];
      if (copy != null) {
        copy.wasted(page);
      }
    }
  }

  private void decide(Prefetcher.Copy copy, int request) {
    Request demanded =
        new Request(
            request * REQUEST_NANOS,
            trace.first(request),
            trace.count(request),
            trace.isWrite(request),
            missed);
    cpu.time(() -> copy.demanded(demanded, link));
  }

  private Result result() {
    return new Result(
        (double) missedPages / trace.pages(),
        (double) missedRequests / trace.requests(),
        issued,
        used,
        (double) (issued - used) / trace.pages(),
        cpu.micros() / trace.requests(),
        cpu.p99Micros(),
        policy.modelBytes(),
        next.hasOpinion() ? next.bitsPerAccess() : Double.NaN,
        next.hasOpinion() ? next.accuracy() : Double.NaN);
  }

  /// The way to the origin: it carries a bounded number of pages for each request.
  private final class Link implements Fetches {
    private int due;
    private int run;
    private int room;

    /// A request is next: what is asked for before it was asked for after the one before.
    void open(int request, int run) {
      this.due = request + lead;
      this.run = run;
      this.room = FETCHES_PER_REQUEST;
    }

    /// The request is here: what is asked for from now on is asked for after it.
    void demanded() {
      due++;
    }

    @Override
    public boolean fetch(long page) {
      if (room == 0 || page < 0 || page > Trace.MAX_PAGE || isHere(page)) {
        return false;
      }
      room--;
      issued++;
      dueRequest.put(page, due);
      inFlight.enqueue(page);
      inFlightRun.enqueue(run);
      inFlightDue.enqueue(due);
      return true;
    }

    @Override
    public boolean isHere(long page) {
      return cache.contains(page) || dueRequest.containsKey(page);
    }

    @Override
    public int host() {
      return HOST;
    }

    @Override
    public boolean isFull() {
      return room == 0;
    }
  }
}
