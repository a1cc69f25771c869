package dev.prestage.engine.allocate;

import dev.prestage.engine.resource.ResourceType;
import java.time.Duration;
import java.util.Map;

/// How much the planner may have out at once, and for how long.
///
/// @param stagedBytes what live leases may hold
/// @param quotas what they may hold of one tenant, program or VM
/// @param inFlightUnits how many units may be granted and neither ready nor ended; sixteen pages of
///   memory count as one
/// @param horizon how far ahead of now a forecast is asked for
/// @param reclaimAfter how long a ready unit may wait for its demand after it was due
/// @param typesReclaimAfter the same for types that have a period of their own
/// @param waitingRanges how many ranges may wait for capacity
/// @param uselessPerDemand how many units may be staged in vain for each unit that is demanded;
///   infinite if that does not matter
public record Limits(
    long stagedBytes,
    Quotas quotas,
    int inFlightUnits,
    Duration horizon,
    Duration reclaimAfter,
    Map<ResourceType, Duration> typesReclaimAfter,
    int waitingRanges,
    double uselessPerDemand) {
  /// A quarter of a tier of 8 GiB may be unproven; 256 units are 16 MiB, 80 ms of a 200 MB/s link,
  /// so that a report from the data plane always finds work queued behind the 32 fetches that a
  /// slow link needs in flight.
  public static final Limits DEFAULT =
      new Limits(
          2L << 30,
          256,
          Duration.ofSeconds(30),
          Duration.ofMinutes(10),
          4096,
          Double.POSITIVE_INFINITY);

  public Limits {
    typesReclaimAfter = Map.copyOf(typesReclaimAfter);
  }

  /// Limits without quotas, with one period for all types.
  public Limits(
      long stagedBytes,
      int inFlightUnits,
      Duration horizon,
      Duration reclaimAfter,
      int waitingRanges,
      double uselessPerDemand) {
    this(
        stagedBytes,
        Quotas.NONE,
        inFlightUnits,
        horizon,
        reclaimAfter,
        Map.of(),
        waitingRanges,
        uselessPerDemand);
  }

  /// The shortest of all periods.
  Duration leastReclaimAfter() {
    Duration least = reclaimAfter;
    for (Duration own : typesReclaimAfter.values()) {
      least = own.compareTo(least) < 0 ? own : least;
    }
    return least;
  }

  /// How long a ready unit of a type may wait for its demand after it was due.
  public Duration reclaimAfter(ResourceType type) {
    return typesReclaimAfter.getOrDefault(type, reclaimAfter);
  }
}
