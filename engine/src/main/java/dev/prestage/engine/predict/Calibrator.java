package dev.prestage.engine.predict;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/// Turns a mixed opinion into a probability that comes true: the share of earlier cases with about
/// this opinion, in each of several contexts, that did. Known from compression as secondary symbol
/// estimation.
final class Calibrator {
  private static final int BINS = 33;

  /// Opinions from -8 to 8 have bins of a half each; what is beyond is in the outermost.
  private static final float MOST = 8;

  /// Until so many cases a bin has no say.
  private static final int SILENT_CASES = 20;

  private static final int MEMORY_CASES = 500;

  private final float[] share;
  private final short[] cases;

  Calibrator(int contexts) {
    share = new float[contexts * BINS];
    cases = new short[contexts * BINS];
    for (int cell = 0; cell < share.length; cell++) {
      share[cell] = Logistic.squash((cell % BINS) * (2 * MOST / (BINS - 1)) - MOST);
    }
  }

  /// The cell for an opinion in a context.
  static int cell(int context, float mixed) {
    int bin = (int) ((mixed + MOST) * ((BINS - 1) / (2 * MOST)) + 0.5f);
    return context * BINS + Math.max(0, Math.min(bin, BINS - 1));
  }

  /// The probability: half what was mixed, half what came of such opinions.
  float probability(int cell, float mixed) {
    float raw = Logistic.squash(mixed);
    return cases[cell] > SILENT_CASES ? (raw + share[cell]) / 2 : raw;
  }

  void learn(int cell, boolean cameTrue) {
    share[cell] += ((cameTrue ? 1 : 0) - share[cell]) / (cases[cell] + 1.5f);
    if (cases[cell] < MEMORY_CASES) {
      cases[cell]++;
    }
  }

  long memoryBytes() {
    return 6L * share.length;
  }

  void write(DataOutput out) throws IOException {
    for (int cell = 0; cell < share.length; cell++) {
      out.writeFloat(share[cell]);
      out.writeShort(cases[cell]);
    }
  }

  void read(DataInput in) throws IOException {
    for (int cell = 0; cell < share.length; cell++) {
      share[cell] = ResourceCodec.checkedShare(in.readFloat());
      cases[cell] = (short) ResourceCodec.checkedSize(in.readShort(), MEMORY_CASES);
    }
  }
}
