package dev.prestage.engine.predict;

import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;

/// Who spoke for a resource. A set of experts is a bit mask on hot paths.
public enum Expert {
  /// The share of earlier runs that touched it, and when after their start.
  RUN_SET(1),
  /// What followed the current resource the last times.
  MARKOV(2),
  /// The continuation of a sequential run.
  SEQUENTIAL(4),
  /// What followed the last two or three requests the last time.
  MATCH(16),
  /// Neighbours of what was touched, by what was touched around them.
  NEIGHBOURHOOD(32),
  /// The recurrent network: long-term dependencies.
  NEURAL(64),
  /// A peer that is compared with, not a part of the product's forecaster.
  PEER(8);

  private final int bit;

  Expert(int bit) {
    this.bit = bit;
  }

  /// This expert's bit in a mask.
  public int bit() {
    return bit;
  }

  /// The place of the constant, for arrays.
  @SuppressWarnings("EnumOrdinal")
  int place() {
    return ordinal();
  }

  /// The name in the API: `run-set`, `markov` and so on.
  public String text() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /// The experts of a mask.
  public static Set<Expert> of(int mask) {
    Set<Expert> experts = EnumSet.noneOf(Expert.class);
    for (Expert expert : values()) {
      if ((mask & expert.bit) != 0) {
        experts.add(expert);
      }
    }
    return experts;
  }
}
