package dev.prestage.engine.predict;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;

/// The share of cases that came true, for each of a fixed number of contexts: the first cases move
/// it far, later ones little, and never less than one in [#MOST].
final class CountTable {
  /// The memory of a cell, in cases.
  private static final int MOST = 250;

  /// What a share is worth before any case, in cases: the first one moves it by 1 / 1.6.
  private static final float PRIOR_CASES = 1.6f;

  private final float[] share;
  private final byte[] cases;

  /// @param prior the share before any case
  CountTable(int cells, float prior) {
    this(cells, _ -> prior);
  }

  /// @param prior the share of a cell before any case
  CountTable(int cells, Prior prior) {
    share = new float[cells];
    cases = new byte[cells];
    clear(prior);
  }

  /// What is believed of a cell before any case.
  @FunctionalInterface
  interface Prior {
    float of(int cell);
  }

  /// Forgets all cases.
  void clear(Prior prior) {
    Arrays.fill(cases, (byte) 0);
    for (int cell = 0; cell < share.length; cell++) {
      share[cell] = prior.of(cell);
    }
  }

  float share(int cell) {
    return share[cell];
  }

  void learn(int cell, boolean cameTrue) {
    int n = cases[cell] & 0xFF;
    share[cell] += ((cameTrue ? 1 : 0) - share[cell]) / (n + PRIOR_CASES);
    if (n < MOST) {
      cases[cell] = (byte) (n + 1);
    }
  }

  long memoryBytes() {
    return 5L * share.length;
  }

  void write(DataOutput out) throws IOException {
    int used = 0;
    for (byte n : cases) {
      used += n != 0 ? 1 : 0;
    }
    out.writeInt(used);
    for (int cell = 0; cell < cases.length; cell++) {
      if (cases[cell] != 0) {
        out.writeInt(cell);
        out.writeByte(cases[cell]);
        out.writeFloat(share[cell]);
      }
    }
  }

  void read(DataInput in) throws IOException {
    int used = ResourceCodec.checkedSize(in.readInt(), cases.length);
    for (int i = 0; i < used; i++) {
      int cell = ResourceCodec.checkedSize(in.readInt(), cases.length - 1);
      cases[cell] = in.readByte();
      share[cell] = ResourceCodec.checkedShare(in.readFloat());
    }
  }
}
