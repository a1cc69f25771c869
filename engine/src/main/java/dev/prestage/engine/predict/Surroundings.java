package dev.prestage.engine.predict;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/// How likely a unit is touched near others that were, counted: by the distances to the nearest
/// touched units below and above, by how much was touched there, and by what is known of the unit
/// itself. This is readahead with probabilities. Shared by all programs of a tenant.
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

  private final Counts fine = new Counts(BELOWS * ABOVES * LENGTHS * KINDS, MOST_CASES);
  private final Counts coarse = new Counts(BELOWS * LENGTHS * KINDS, MOST_CASES);
  private final Counts plain = new Counts(BELOWS * LENGTHS, MOST_CASES);

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
    double wide = coarse.share(coarse(cell), prior(cell), COARSE_CASES);
    return (float) fine.share(cell, wide, FINE_CASES);
  }

  private double prior(int cell) {
    int at = plain(cell);
    double near = plain.share(at, PRIOR[at / LENGTHS][at % LENGTHS - 1], PRIOR_CASES);
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
    fine.learn(cell, cameTrue);
    coarse.learn(coarse(cell), cameTrue);
    if (cell % KINDS == UNKNOWN_SPACE) {
      plain.learn(plain(cell), cameTrue);
    }
  }

  void write(DataOutput out) throws IOException {
    fine.write(out);
    coarse.write(out);
    plain.write(out);
  }

  void read(DataInput in) throws IOException {
    fine.read(in);
    coarse.read(in);
    plain.read(in);
  }
}
