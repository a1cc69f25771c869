package dev.prestage.engine.predict;

/// How likely a unit is touched near others that were, counted: by the distances to the nearest
/// touched units below and above, by how much was touched there, and by what is known of the unit
/// itself. This is readahead with probabilities. Shared by all programs of a host.
final class Surroundings {
  /// So far below a touch units are looked at, and so far above.
  static final int BELOW = 8;

  static final int ABOVE = 32;

  static final int UNKNOWN_SPACE = 0;
  static final int OF_NO_PROGRAM = 1;
  static final int OF_ONE_PROGRAM = 2;
  static final int OF_SEVERAL_PROGRAMS = 3;
  static final int OUTSIDE_PROFILE = 4;
  static final int RARE_IN_PROFILE = 10;
  static final int USUAL_IN_PROFILE = 11;
  static final int SURE_IN_PROFILE = 12;
  private static final int KINDS = 13;

  private static final int BELOWS = 11;
  private static final int ABOVES = 6;
  private static final int LENGTHS = 5;
  private static final int MOST_CASES = 2000;
  private static final double PRIOR_CASES = 16;
  private static final double COARSE_CASES = 8;
  private static final double FINE_CASES = 4;

  /// Measured on starts of programs from one root file system: rows by the distance below, columns
  /// by the length of the touched run there; the last row where nothing below was touched, columns
  /// by the length of a descending run.
  private static final double[][] PRIOR = {
    {.75, .74, .84, .91},
    {.60, .63, .76, .86},
    {.52, .57, .70, .82},
    {.48, .53, .66, .78},
    {.43, .49, .62, .76},
    {.39, .45, .58, .72},
    {.34, .40, .52, .71},
    {.31, .36, .50, .69},
    {.28, .32, .48, .60},
    {.26, .30, .46, .54},
    {.25, .35, .60, .80},
  };

  /// What remains of it outside a known program's profile: the more of its touches are new, the
  /// more; each behind a touch in the profile, and behind one outside.
  private static final double[] OUTSIDE = {.03, .4, .2, .65, .1, .8};

  private final int[] cases = new int[BELOWS * ABOVES * LENGTHS * KINDS];
  private final int[] touched = new int[cases.length];
  private final int[] coarseCases = new int[BELOWS * LENGTHS * KINDS];
  private final int[] coarseTouched = new int[coarseCases.length];
  private final int[] plainCases = new int[BELOWS * LENGTHS];
  private final int[] plainTouched = new int[plainCases.length];

  /// A cell.
  ///
  /// @param below the distance to the nearest touched unit below, 0 for none
  /// @param above the same above
  /// @param length of the run there, 1 to 4
  static int cell(int below, int above, int length, int kind) {
    return ((belowClass(below) * ABOVES + aboveClass(above)) * LENGTHS + length) * KINDS + kind;
  }

  private static int belowClass(int distance) {
    if (distance <= 4) {
      return distance == 0 ? BELOWS - 1 : distance - 1;
    }
    if (distance <= 12) {
      return distance <= 6 ? 4 : distance <= 8 ? 5 : 6;
    }
    return distance <= 16 ? 7 : distance <= 24 ? 8 : 9;
  }

  private static int aboveClass(int distance) {
    if (distance <= 2) {
      return distance == 0 ? ABOVES - 1 : distance - 1;
    }
    return distance <= 4 ? 2 : distance <= 8 ? 3 : 4;
  }

  /// Runs of 1, 2-3, 4-7 and more.
  static int lengthClass(int run) {
    return run >= 8 ? 4 : run >= 4 ? 3 : run >= 2 ? 2 : 1;
  }

  float probability(int cell) {
    int coarse = coarse(cell);
    double prior = prior(cell);
    double wide =
        (coarseTouched[coarse] + COARSE_CASES * prior) / (coarseCases[coarse] + COARSE_CASES);
    return (float) ((touched[cell] + FINE_CASES * wide) / (cases[cell] + FINE_CASES));
  }

  private double prior(int cell) {
    int plain = plain(cell);
    double measured = PRIOR[plain / LENGTHS][plain % LENGTHS - 1];
    double near =
        (plainTouched[plain] + PRIOR_CASES * measured) / (plainCases[plain] + PRIOR_CASES);
    int kind = cell % KINDS;
    return switch (kind) {
      case UNKNOWN_SPACE, OF_NO_PROGRAM -> near;
      case OF_ONE_PROGRAM -> 1 - .25 * (1 - near);
      case OF_SEVERAL_PROGRAMS -> 1 - .05 * (1 - near);
      case RARE_IN_PROFILE -> .55 * near;
      case USUAL_IN_PROFILE -> .5 + .3 * near;
      case SURE_IN_PROFILE -> .97;
      default -> near * OUTSIDE[kind - OUTSIDE_PROFILE];
    };
  }

  private static int coarse(int cell) {
    int below = cell / (ABOVES * LENGTHS * KINDS);
    return below * LENGTHS * KINDS + cell % (LENGTHS * KINDS);
  }

  private static int plain(int cell) {
    int below = cell / (ABOVES * LENGTHS * KINDS);
    return below * LENGTHS + cell / KINDS % LENGTHS;
  }

  void learn(int cell, boolean cameTrue) {
    count(cases, touched, cell, cameTrue);
    count(coarseCases, coarseTouched, coarse(cell), cameTrue);
    if (cell % KINDS == UNKNOWN_SPACE) {
      count(plainCases, plainTouched, plain(cell), cameTrue);
    }
  }

  private static void count(int[] cases, int[] touched, int cell, boolean cameTrue) {
    touched[cell] += cameTrue ? 1 : 0;
    if (++cases[cell] > MOST_CASES) {
      cases[cell] /= 2;
      touched[cell] /= 2;
    }
  }
}
