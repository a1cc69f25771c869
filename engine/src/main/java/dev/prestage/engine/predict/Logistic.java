package dev.prestage.engine.predict;

/// The logistic function and its inverse from tables: both stand on the hot path of each candidate.
final class Logistic {
  private static final int CELLS = 4096;

  /// Beyond this the probability is certain to six digits.
  private static final float MOST = 12;

  private static final float[] STRETCH = new float[CELLS + 1];
  private static final float[] SQUASH = new float[CELLS + 1];

  static {
    for (int cell = 0; cell <= CELLS; cell++) {
      double p = (Math.min(cell, CELLS - 1) + 0.5) / CELLS;
      STRETCH[cell] = (float) Math.log(p / (1 - p));
      double x = (2.0 * cell / CELLS - 1) * MOST;
      SQUASH[cell] = (float) (1 / (1 + Math.exp(-x)));
    }
  }

  private Logistic() {}

  /// ln(p / (1 - p)) of a share from 0 to 1, to 1 in 4,096 of it.
  static float stretch(float p) {
    return STRETCH[(int) (p * CELLS)];
  }

  /// 1 / (1 + e^-x), to 1 in 1,400.
  static float squash(float x) {
    if (x <= -MOST) {
      return SQUASH[0];
    }
    if (x >= MOST) {
      return SQUASH[CELLS];
    }
    return SQUASH[(int) ((x / MOST + 1) * (CELLS / 2) + 0.5f)];
  }
}
