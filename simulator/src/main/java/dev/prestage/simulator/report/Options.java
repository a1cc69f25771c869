package dev.prestage.simulator.report;

import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.resource.Shape;
import dev.prestage.simulator.policy.Choice;
import dev.prestage.simulator.policy.Place;
import dev.prestage.simulator.replay.ClosedLoop;
import dev.prestage.simulator.replay.OpenLoop;
import dev.prestage.simulator.trace.Trace;
import java.time.Duration;
import java.util.List;

/// What is compared, and where.
///
/// @param choices the policies
/// @param caches the sizes of cache; in closed loop the first one
/// @param leads requests until a fetched page is usable, in open loop
/// @param uselessBudget pages that may be fetched ahead in vain per demanded page; infinite if each
///   policy runs with its defaults
/// @param threshold the product's, the probability from which on it fetches
/// @param horizon how far ahead of now the product asks for a forecast, in closed loop
/// @param originLatency in closed loop
/// @param inFlight fetches ahead of demand under way at once on a host, in closed loop
/// @param cold whether each run starts on a new host, in closed loop
public record Options(
    List<Choice> choices,
    List<CacheSize> caches,
    List<Integer> leads,
    double uselessBudget,
    double threshold,
    Duration horizon,
    Duration originLatency,
    int inFlight,
    boolean cold) {
  /// How far the product looks ahead in open loop, behind the lead: as many requests as one request
  /// may fetch pages.
  private static final long OPEN_HORIZON_REQUESTS = OpenLoop.FETCHES_PER_REQUEST;

  public Options {
    choices = List.copyOf(choices);
    caches = List.copyOf(caches);
    leads = List.copyOf(leads);
  }

  /// Whether a budget is set.
  public boolean hasBudget() {
    return Double.isFinite(uselessBudget);
  }

  /// The place of one row of an open loop.
  Place open(Trace trace, CacheSize cache, int lead) {
    int capacity = cache.pages(trace);
    return new Place(
        trace,
        capacity,
        lead,
        Thresholds.all(threshold),
        limits(
            trace,
            capacity,
            OpenLoop.FETCHES_PER_REQUEST * (1 + lead),
            Duration.ofNanos((OPEN_HORIZON_REQUESTS + lead) * OpenLoop.REQUEST_NANOS)));
  }

  /// The place of one row of a closed loop. As in the product, eight times as much may be granted
  /// as the way to the origin takes at once.
  Place closed(Trace trace) {
    int capacity = caches.getFirst().pages(trace);
    return new Place(
        trace,
        capacity,
        0,
        Thresholds.all(threshold),
        limits(trace, capacity, unitsInFlight(trace, 8 * inFlight), horizon));
  }

  /// The product counts sixteen pages of 4 KiB as one unit on its way; here a fetch is a page.
  private static int unitsInFlight(Trace trace, int pages) {
    long bytes = (long) pages * Math.min(trace.unitBytes(), Shape.BLOCK_BYTES);
    return Math.toIntExact(Math.max(1, bytes / Shape.BLOCK_BYTES));
  }

  /// Three quarters of the cache may be unproven, as in the product.
  private Limits limits(Trace trace, int capacity, int inFlightUnits, Duration ahead) {
    return new Limits(
        Math.max(1, capacity * 3L / 4) * trace.unitBytes(),
        inFlightUnits,
        ahead,
        Limits.DEFAULT.reclaimAfter(),
        Limits.DEFAULT.waitingRanges(),
        uselessBudget);
  }

  /// The simulated host of a closed loop.
  ClosedLoop.Setup setup(Trace trace) {
    return new ClosedLoop.Setup(
        caches.getFirst().pages(trace), originLatency.toNanos(), inFlight, cold);
  }
}
