package dev.prestage.engine.access;

import java.util.Locale;

/// How the staging of a unit ended. Each staged unit ends in exactly one of these, so their counts
/// add up to what was granted, and no unit is both a success and a waste.
public enum Outcome {
  /// Demand came after the unit was ready.
  USEFUL,
  /// Demand overtook the staging: the forecast was right and the schedule was not.
  LATE,
  /// Given back without demand.
  UNUSED,
  /// It was there already; nothing was moved.
  REDUNDANT,
  /// The origin or the tier refused.
  FAILED,
  /// Called off before it was moved.
  CANCELLED,
  /// Ready where its use cannot be seen.
  UNOBSERVED;

  /// Whether demand came, so that the forecast was right. It was wrong where it is [#UNUSED]; what
  /// the others say is nothing about the forecast.
  public boolean isDemanded() {
    return this == USEFUL || this == LATE;
  }

  /// The name in the API: `useful` and so on.
  public String text() {
    return name().toLowerCase(Locale.ROOT);
  }
}
