package dev.prestage.dataplane.bandwidth;

import java.util.Locale;

/// By what shares of links are promised.
public enum Promises {
  /// By forecasts of programs' runs.
  RUNS,
  /// By these, and by what a VM is foretold to ask in the next half second.
  BURSTS,
  /// By these, and by what a VM has used for a second: the rule that forecasts are compared with.
  REACTIVE;

  /// The one of this name, in small letters.
  public static Promises of(String text) {
    for (Promises one : values()) {
      if (one.name().equals(text.toUpperCase(Locale.ROOT))) {
        return one;
      }
    }
    throw new IllegalArgumentException("'" + text + "' is none of runs, bursts, reactive");
  }
}
