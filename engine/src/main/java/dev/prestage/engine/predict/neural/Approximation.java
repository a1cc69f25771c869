package dev.prestage.engine.predict.neural;

/// The functions of a network's gates, to five digits or more and without calls into the
/// mathematics library, which would take longer than all products of a step.
final class Approximation {
  private static final float LOG2_E = 1.442695f;
  private static final float MOST = 87;

  private Approximation() {}

  /// `e^x`: a power of two by the exponent's bits, times the Taylor series of the rest, which lies
  /// within half a power of 1. Beyond ±87 as at ±87.
  static float exp(float x) {
    float power = Math.max(-MOST, Math.min(MOST, x)) * LOG2_E;
    int whole = (int) (power + (power < 0 ? -.5f : .5f));
    float rest = (power - whole) * 0.6931472f;
    float series =
        1
            + rest
                * (1
                    + rest
                        * (1f / 2
                            + rest
                                * (1f / 6
                                    + rest * (1f / 24 + rest * (1f / 120 + rest * (1f / 720))))));
    return series * Float.intBitsToFloat((whole + 127) << 23);
  }

  static float sigmoid(float x) {
    return 1 / (1 + exp(-x));
  }

  static float tanh(float x) {
    return 2 / (1 + exp(-2 * x)) - 1;
  }
}
