package dev.prestage.engine.allocate;

import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.ResourceType;
import java.util.Map;

/// The probability from which on a forecast is staged. The most specific one counts: program, then
/// type, then global. Each may be [#AUTO].
///
/// @param global for everything that is not named
/// @param byType for a resource type
/// @param byProgram for a program of a tenant
public record Thresholds(
    double global, Map<ResourceType, Double> byType, Map<Program.Key, Double> byProgram) {
  /// A wrong unit costs 64 KiB of the link, 0.3 ms at 200 MB/s; a missing one costs a round trip,
  /// 10 ms. Staging pays from 0.03 on while the link is idle; a quarter leaves room for a link that
  /// is shared by eight.
  public static final double DEFAULT = 0.25;

  /// The planner weighs what staging costs now against what it saves, and derives the probability
  /// from which on it pays. No probability is this number, nor equal to it: ask [#isAuto].
  public static final double AUTO = Double.NaN;

  /// Whether a threshold is to be derived.
  public static boolean isAuto(double threshold) {
    return Double.isNaN(threshold);
  }

  public Thresholds {
    byType = Map.copyOf(byType);
    byProgram = Map.copyOf(byProgram);
  }

  /// One threshold for everything.
  public static Thresholds all(double global) {
    return new Thresholds(global, Map.of(), Map.of());
  }

  /// The threshold for one program and type, or [#AUTO].
  public double of(Program program, ResourceType type) {
    Double own = byProgram.isEmpty() ? null : byProgram.get(program.key());
    return own != null ? own : byType.getOrDefault(type, global);
  }
}
