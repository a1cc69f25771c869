package dev.prestage.engine.predict;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/// How many cases there were in each of a fixed number of contexts, and how many of them came true.
/// A context with too many cases has both halved, so that what is old counts less.
final class Counts {
  private final int[] cases;
  private final int[] came;
  private final int mostCases;

  Counts(int contexts, int mostCases) {
    this.cases = new int[contexts];
    this.came = new int[contexts];
    this.mostCases = mostCases;
  }

  /// The share that came true, if `priorCases` with the share `prior` had come before.
  double share(int context, double prior, double priorCases) {
    return (came[context] + priorCases * prior) / (cases[context] + priorCases);
  }

  void learn(int context, boolean cameTrue) {
    came[context] += cameTrue ? 1 : 0;
    if (++cases[context] >= mostCases) {
      cases[context] /= 2;
      came[context] /= 2;
    }
  }

  /// Writes those contexts that had a case.
  void write(DataOutput out) throws IOException {
    int used = 0;
    for (int each : cases) {
      used += each > 0 ? 1 : 0;
    }
    out.writeInt(used);
    for (int context = 0; context < cases.length; context++) {
      if (cases[context] > 0) {
        out.writeInt(context);
        out.writeInt(cases[context]);
        out.writeInt(came[context]);
      }
    }
  }

  void read(DataInput in) throws IOException {
    int used = ResourceCodec.checkedSize(in.readInt(), cases.length);
    for (int i = 0; i < used; i++) {
      int context = in.readInt();
      int had = in.readInt();
      int right = in.readInt();
      if (context < 0 || context >= cases.length || had > mostCases || right < 0 || right > had) {
        throw new ModelException(
            "it says that " + right + " of " + had + " cases came true in context " + context);
      }
      cases[context] = had;
      came[context] = right;
    }
  }
}
