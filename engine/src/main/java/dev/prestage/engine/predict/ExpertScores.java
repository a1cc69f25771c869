package dev.prestage.engine.predict;

import dev.prestage.engine.access.Outcome;

/// What became of the units for which each expert spoke: how many were demanded, and how many were
/// given back without demand. What ended in another way says nothing about a forecast.
///
/// A unit for which several experts spoke counts for each of them.
public final class ExpertScores {
  private static final Expert[] EXPERTS = Expert.values();

  private final long[] demanded = new long[EXPERTS.length];
  private final long[] unused = new long[EXPERTS.length];

  /// @param experts who spoke for the units, a mask of [Expert#bit]
  void ended(int experts, int units, Outcome how) {
    if (!how.isDemanded() && how != Outcome.UNUSED) {
      return;
    }
    long[] counts = how.isDemanded() ? demanded : unused;
    for (int i = 0; i < EXPERTS.length; i++) {
      if ((experts & EXPERTS[i].bit()) != 0) {
        counts[i] += units;
      }
    }
  }

  /// Units that were demanded, in time or not.
  public long demanded(Expert expert) {
    return demanded[expert.place()];
  }

  /// Units that were given back without demand.
  public long unused(Expert expert) {
    return unused[expert.place()];
  }
}
