package dev.prestage.engine.predict.amount;

import java.util.Arrays;

/// What follows an amount that has lasted for so long: a semi-Markov chain (P. Levy, "Processus
/// semi-markoviens", 1954) of coarse amounts and the windows that they last, so that both the end
/// of a burst and the end of a pause are foretold by their usual length.
final class Dwell implements AmountExpert {
  private static final int STATES = 9;
  private static final int LONGEST = 64;

  // A state that was left after a length only twice says little of that length.
  private static final int LEAST_SEEN = 3;
  private static final float FORGETS = 0.98f;

  // A burst that never came again is forgotten after some three hundred windows with demand.
  private static final double LATE_FORGETS = 0.997;

  private final double quantile;

  /// By state, length and next state.
  private final float[][][] counts = new float[STATES][LONGEST + 1][STATES];

  /// The largest amount lately seen in each state.
  private final double[] tops = new double[STATES];

  private double largest;
  private double late;
  private int state = -1;
  private int length;

  Dwell(double quantile) {
    this.quantile = quantile;
  }

  @Override
  public double next() {
    if (state < 0) {
      return 0;
    }
    float[] exact = counts[state][length];
    float[] all = exact;
    if (sum(exact) < LEAST_SEEN) {
      all = new float[STATES];
      // Lengths that were not seen are like those beyond half and below double.
      for (int near = length / 2 + 1; near <= Math.min(LONGEST, 2 * length); near++) {
        for (int to = 0; to < STATES; to++) {
          all[to] += counts[state][near][to];
        }
      }
    }
    double total = sum(all);
    if (total == 0) {
      return tops[state];
    }
    double below = 0;
    for (int to = 0; to < STATES; to++) {
      below += all[to];
      if (below >= quantile * total) {
        return tops[to];
      }
    }
    return tops[STATES - 1];
  }

  private static double sum(float[] counts) {
    double sum = 0;
    for (float count : counts) {
      sum += count;
    }
    return sum;
  }

  @Override
  public void observe(double amount) {
    if (amount > 0) {
      late = Math.max(amount, late * LATE_FORGETS);
    }
    if (late > 1.5 * largest || late < largest / 2) {
      // Another scale: what was counted in the old one would be in the wrong states.
      for (float[][] lengths : counts) {
        for (float[] next : lengths) {
          Arrays.fill(next, 0);
        }
      }
      Arrays.fill(tops, 0);
      state = -1;
      largest = late;
    }
    largest = Math.max(largest, amount);
    int next = stateOf(amount);
    if (state >= 0) {
      float[] from = counts[state][length];
      for (int to = 0; to < STATES; to++) {
        from[to] *= FORGETS;
      }
      from[next]++;
    }
    length = next == state ? Math.min(LONGEST, length + 1) : 1;
    state = next;
    tops[state] = Math.max(amount, amount + FORGETS * (tops[state] - amount));
  }

  /// 0 is next to nothing; the others are equal parts of the largest.
  private int stateOf(double amount) {
    if (amount <= largest / 64) {
      return 0;
    }
    return Math.clamp((int) Math.ceil(amount / largest * (STATES - 1)), 1, STATES - 1);
  }
}
