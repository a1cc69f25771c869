package dev.prestage.benchmarks;

import java.util.Locale;

/// One comparison of a gate.
///
/// @param value what was measured
/// @param wanted what it must come near to, or stay above or below
public record Check(String what, double value, String wanted, boolean holds) {
  /// A value that must not exceed a limit.
  public static Check atMost(String what, double value, double most) {
    return new Check(what, value, String.format(Locale.ROOT, "at most %.4g", most), value <= most);
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT, "%-4s %s: %.4f, wanted %s", holds ? "ok" : "MISS", what, value, wanted);
  }
}
