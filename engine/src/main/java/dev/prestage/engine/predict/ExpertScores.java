package dev.prestage.engine.predict;

import dev.prestage.engine.access.Outcome;
import java.util.EnumMap;
import java.util.Map;

/// What became of the units for which each expert spoke: how many were demanded, and how many were
/// given back without demand. What ended in another way says nothing about a forecast.
///
/// A unit for which several experts spoke counts for each of them.
public final class ExpertScores {
  private final Map<Expert, Long> demanded = new EnumMap<>(Expert.class);
  private final Map<Expert, Long> unused = new EnumMap<>(Expert.class);

  /// @param experts who spoke for the units, a mask of [Expert#bit]
  void ended(int experts, int units, Outcome how) {
    if (!how.isDemanded() && how != Outcome.UNUSED) {
      return;
    }
    Map<Expert, Long> counts = how.isDemanded() ? demanded : unused;
    for (Expert expert : Expert.of(experts)) {
      counts.merge(expert, (long) units, Long::sum);
    }
  }

  /// Units that were demanded, in time or not.
  public long demanded(Expert expert) {
    return demanded.getOrDefault(expert, 0L);
  }

  /// Units that were given back without demand.
  public long unused(Expert expert) {
    return unused.getOrDefault(expert, 0L);
  }
}
