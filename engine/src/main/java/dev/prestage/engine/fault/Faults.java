package dev.prestage.engine.fault;

import java.time.Duration;

/// What a decorated origin does to each read: a slow link, a narrow link, an unreliable one.
///
/// All randomness comes from the seed, so a run with faults replays.
///
/// @param latency added to each read
/// @param bytesPerSecond what all reads together may move, or 0 for no limit
/// @param errorRate share of reads that fail, 0 to 1
/// @param hangRate share of reads that do not return until the origin is closed, 0 to 1
/// @param corruptRate share of reads in which one bit is wrong, 0 to 1
/// @param seed of the random choices
public record Faults(
    Duration latency,
    long bytesPerSecond,
    double errorRate,
    double hangRate,
    double corruptRate,
    long seed) {
  /// No fault at all.
  public static final Faults NONE = new Faults(Duration.ZERO, 0, 0, 0, 0, 0);

  /// A link that is only far and narrow.
  public static Faults link(Duration latency, long bytesPerSecond) {
    return new Faults(latency, bytesPerSecond, 0, 0, 0, 0);
  }
}
