package dev.prestage.engine.predict;

/// How likely a unit of a profile is touched in the rest of a run, counted: by how far the run is,
/// by whose profile it is, by how many runs are known, and by the share of the last eight that
/// touched it. Shared by all programs of a tenant, so that the second start of one profits from the
/// others'.
final class Shares {
  static final int CLASSES = 8;
  private static final int STAGES = 8;
  private static final int RUNS = 4;
  private static final int JUDGED_RUNS = 8;
  private static final double PRIOR_CASES = 8;
  private static final int MOST_CASES = 20_000;
  private static final double[] PRIOR = {.05, .1, .25, .5, .72, .88, .95, .96};

  /// One run alone: what it touched is likely, not certain.
  private static final double PRIOR_OF_ONE = .9;

  /// Another program's start says less, unless all programs so far agree.
  private static final double PRIOR_OF_OTHERS = .4;

  private final Counts counts = new Counts(STAGES * 2 * RUNS * CLASSES, MOST_CASES);

  /// The class of a share: at most .02, below .15, .35, .65, .85, .98, more, all.
  ///
  /// @param chances how many runs could have touched it
  static int of(short mask, int chances) {
    int judged = Math.min(JUDGED_RUNS, Math.max(1, chances));
    int hits = Integer.bitCount(mask & ((1 << judged) - 1));
    double share = (double) hits / judged;
    if (hits == judged) {
      return 7;
    }
    if (share < .35) {
      return share <= .02 ? 0 : share < .15 ? 1 : 2;
    }
    return share < .65 ? 3 : share < .85 ? 4 : share < .98 ? 5 : 6;
  }

  /// @param passed the places of the order that the run has passed, or -1 before its first touch
  /// @param others whether the profile is that of other programs on the same space
  static int cell(int passed, int size, boolean others, int runs, int share) {
    int stage = passed < 0 ? 0 : 1 + Math.min(6, (int) (7L * passed / Math.max(1, size)));
    int known = runs <= 2 ? Math.max(0, runs - 1) : runs <= 4 ? 2 : 3;
    return ((stage * 2 + (others ? 1 : 0)) * RUNS + known) * CLASSES + share;
  }

  float probability(int cell) {
    return (float) counts.share(cell, prior(cell), PRIOR_CASES);
  }

  private static double prior(int cell) {
    int share = cell % CLASSES;
    int known = cell / CLASSES % RUNS;
    boolean others = cell / (CLASSES * RUNS) % 2 == 1;
    double own = known == 0 ? PRIOR_OF_ONE : PRIOR[share];
    if (!others) {
      return own;
    }
    return share == CLASSES - 1 && known > 0 ? PRIOR_OF_ONE : own * PRIOR_OF_OTHERS;
  }

  void learn(int cell, boolean cameTrue) {
    counts.learn(cell, cameTrue);
  }

  Counts counts() {
    return counts;
  }
}
