package dev.prestage.dataplane.block;

import java.time.Duration;

/// When extents move between tiers.
///
/// @param visit touches of an extent within this time count as one: a scan reads an extent of 64
///   KiB in up to 16 requests, and has no use for it afterwards
/// @param halving after this long without a touch an extent counts for half as often touched. A
///   move costs a read of the slower tier and is paid back by one read from the faster one, so what
///   is touched once a minute is worth it
/// @param rest an extent that moved stays at least this long, so that two that are equally often
///   touched do not push each other out in turns
/// @param period how often the mover looks while there is nothing to do
public record Moves(Duration visit, Duration halving, Duration rest, Duration period) {
  /// What suits a host.
  public static final Moves DEFAULT =
      new Moves(
          Duration.ofSeconds(1),
          Duration.ofMinutes(1),
          Duration.ofSeconds(10),
          Duration.ofMillis(250));
}
