package dev.prestage.engine.predict;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;

/// Mixes what several experts say about a candidate: a weighted sum of their opinions as logits,
/// with weights that follow, in each of two contexts, what turned out to be right.
///
/// Logistic mixing is that of the PAQ compressors (Mahoney, "Adaptive Weighing of Context Models
/// for Lossless Data Compression", 2005); the weights of both contexts are added.
final class Mixer {
  /// Each expert's weight before any case, in each of the two contexts.
  private static final float FIRST_WEIGHT = 0.15f;

  /// The input that stands for no expert, so that a context can be likelier than all of them say.
  private static final float BIAS = 0.3f;

  /// The rate falls from the sum of both to the last one, over so many cases.
  private static final float EARLY_RATE = 0.0095f;

  private static final float LAST_RATE = 0.0005f;
  private static final float EARLY_CASES = 20_000;

  /// How many experts there are: a constant, so that the loops below are unrolled.
  static final int EXPERTS = 6;

  /// The expert that is silent at first, and has no weight before it said something.
  static final int NEURAL = EXPERTS - 1;

  private static final int INPUTS = EXPERTS + 1;

  private final float[] first;
  private final float[] second;
  private long learnt;

  /// @param firstContexts how many contexts choose the first set of weights
  /// @param secondContexts how many choose the second
  Mixer(int firstContexts, int secondContexts) {
    this.first = weights(firstContexts);
    this.second = weights(secondContexts);
  }

  /// Forgets how far the neural expert was right.
  void silenceNeural() {
    for (float[] weights : new float[][] {first, second}) {
      for (int at = NEURAL; at < weights.length; at += INPUTS) {
        weights[at] = 0;
      }
    }
  }

  private static float[] weights(int contexts) {
    float[] weights = new float[contexts * INPUTS];
    Arrays.fill(weights, FIRST_WEIGHT);
    for (int context = 0; context < contexts; context++) {
      weights[context * INPUTS + NEURAL] = 0;
      weights[context * INPUTS + EXPERTS] = 0;
    }
    return weights;
  }

  /// The mixed opinion, a logit.
  ///
  /// @param opinions the experts' logits
  float mix(float[] opinions, int firstContext, int secondContext) {
    int a = firstContext * INPUTS;
    int b = secondContext * INPUTS;
    float sum = (first[a + EXPERTS] + second[b + EXPERTS]) * BIAS;
    for (int i = 0; i < EXPERTS; i++) {
      sum += (first[a + i] + second[b + i]) * opinions[i];
    }
    return sum;
  }

  /// Moves the weights towards those experts that were right.
  ///
  /// @param mixed what [#mix] says of these opinions
  void learn(float[] opinions, int firstContext, int secondContext, float mixed, boolean cameTrue) {
    float rate = LAST_RATE + EARLY_RATE / (1 + learnt++ / EARLY_CASES);
    float step = rate * ((cameTrue ? 1 : 0) - Logistic.squash(mixed));
    int a = firstContext * INPUTS;
    int b = secondContext * INPUTS;
    for (int i = 0; i < EXPERTS; i++) {
      first[a + i] += step * opinions[i];
      second[b + i] += step * opinions[i];
    }
    first[a + EXPERTS] += step * BIAS;
    second[b + EXPERTS] += step * BIAS;
  }

  long memoryBytes() {
    return 4L * (first.length + second.length);
  }

  void write(DataOutput out) throws IOException {
    out.writeLong(learnt);
    for (float[] weights : new float[][] {first, second}) {
      for (float weight : weights) {
        out.writeFloat(weight);
      }
    }
  }

  /// @param hasNeural whether the file knows of the neural expert
  void read(DataInput in, boolean hasNeural) throws IOException {
    learnt = ResourceCodec.checkedCount(in.readLong());
    for (float[] weights : new float[][] {first, second}) {
      for (int i = 0; i < weights.length; i++) {
        if (hasNeural || i % INPUTS != NEURAL) {
          weights[i] = ResourceCodec.checkedWeight(in.readFloat());
        }
      }
    }
  }
}
