package dev.prestage.benchmarks.memory;

/// How the pages of a restored VM come.
public enum Mode {
  C_ON_DEMAND("on demand, handler in C", "demand", 2),
  ON_DEMAND("on demand", "", 2),
  REPLAY("replay of the first run", "replay", 2),
  AT_ONCE("predicted, resumed at once", "", 2),
  WHEN_AVAILABLE("predicted, resumed when available", "", 2),
  OTHERS("the same, a tenth of the pages others", "", 10),
  PRE_POPULATED("pre-populated", "all", 2);

  private final String label;
  private final String handlerMode;
  private final int others;

  Mode(String label, String handlerMode, int others) {
    this.label = label;
    this.handlerMode = handlerMode;
    this.others = others;
  }

  /// For people.
  String label() {
    return label;
  }

  /// Whether the handler in C serves it, not Prestage.
  boolean isHandled() {
    return !handlerMode.isEmpty();
  }

  String handlerMode() {
    return handlerMode;
  }

  /// How many ranges in a hundred are a run's own.
  int others() {
    return others;
  }
}
