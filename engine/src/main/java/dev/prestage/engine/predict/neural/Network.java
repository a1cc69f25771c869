package dev.prestage.engine.predict.neural;

import java.util.Arrays;
import java.util.List;

/// A recurrent network with gated units (GRU: Cho et al., "Learning Phrase Representations using
/// RNN Encoder-Decoder", 2014) that reads one request after the other and says how likely each word
/// of its vocabulary is: as the very next one, and as one of the next [#HORIZON].
///
/// The gates are PyTorch's: `h' = n + z (h - n)`, `n = tanh(a + r b)`. Weights lie in rows of their
/// own, and each loop runs over all arrays with one index: only so can the compiler know that it
/// may use vector instructions. Immutable; what belongs to one stream of requests is in [Memory].
public final class Network {
  /// As many requests ahead a word counts as coming soon.
  public static final int HORIZON = 32;

  private static final int GATES = 3;

  private final Vocabulary vocabulary;
  private final int hidden;
  private final float[][] input;
  private final float[][] recurrent;
  private final float[] recurrentBias;
  private final float[][] next;
  private final float[] nextBias;
  private final float[][] soon;
  private final float[] soonBias;

  /// @param vocabulary its words, `w` of them
  /// @param hidden the size of its memory, `h`
  /// @param input for each word what it adds to the gates r, z, n, bias included: `w · 3h`
  /// @param recurrent for each cell of the memory what it adds to the gates: `h · 3h`
  /// @param recurrentBias of the gates: `3h`
  /// @param next for each cell what it adds to each word's logit of being next: `h · w`
  /// @param nextBias `w`
  /// @param soon the same, of being one of the next [#HORIZON]
  /// @param soonBias `w`
  public Network(
      Vocabulary vocabulary,
      int hidden,
      float[] input,
      float[] recurrent,
      float[] recurrentBias,
      float[] next,
      float[] nextBias,
      float[] soon,
      float[] soonBias) {
    int words = vocabulary.words();
    int gates = GATES * hidden;
    this.vocabulary = vocabulary;
    this.hidden = hidden;
    this.input = rows(input, words, gates);
    this.recurrent = rows(recurrent, hidden, gates);
    this.recurrentBias = sized(recurrentBias, gates);
    this.next = rows(next, hidden, words);
    this.nextBias = sized(nextBias, words);
    this.soon = rows(soon, hidden, words);
    this.soonBias = sized(soonBias, words);
  }

  private static float[] sized(float[] weights, int size) {
    if (weights.length != size) {
      throw new IllegalArgumentException(weights.length + " weights where " + size + " belong");
    }
    return weights.clone();
  }

  private static float[][] rows(float[] weights, int rows, int width) {
    float[] checked = sized(weights, rows * width);
    float[][] cut = new float[rows][];
    for (int row = 0; row < rows; row++) {
      cut[row] = Arrays.copyOfRange(checked, row * width, (row + 1) * width);
    }
    return cut;
  }

  public Vocabulary vocabulary() {
    return vocabulary;
  }

  /// The size of its memory.
  public int hidden() {
    return hidden;
  }

  /// What it takes, in bytes, about.
  public long memoryBytes() {
    int words = vocabulary.words();
    long weights = words * (5L * hidden + 2) + 3L * hidden * (hidden + 1);
    return 4 * weights + 32L * words;
  }

  /// What the network remembers of one stream of requests, and what it makes of it.
  public final class Memory {
    private final float[] state = new float[hidden];
    private final float[] gates = new float[GATES * hidden];
    private final float[] nextLogits = new float[vocabulary.words()];
    private final float[] soonLogits = new float[vocabulary.words()];
    private final float[] exponentials = new float[vocabulary.words()];
    private long before = -1;
    private double sum;

    // Each is only worked out when somebody asks.
    private boolean foreseesNext;
    private boolean foreseesSoon;
    private boolean isNormal;

    /// The network whose memory it is.
    public Network network() {
      return Network.this;
    }

    /// The stream asks for a resource.
    public void read(long resource) {
      step(vocabulary.word(resource, before));
      before = resource;
    }

    private void step(int word) {
      int width = GATES * hidden;
      System.arraycopy(recurrentBias, 0, gates, 0, width);
      addRows(recurrent, state, gates);
      float[] in = input[word];
      for (int i = 0; i < width - hidden; i++) {
        gates[i] = Approximation.sigmoid(in[i] + gates[i]);
      }
      for (int i = 0; i < hidden; i++) {
        int n = 2 * hidden + i;
        float fresh = Approximation.tanh(in[n] + gates[i] * gates[n]);
        state[i] = fresh + gates[hidden + i] * (state[i] - fresh);
      }
      foreseesNext = false;
      foreseesSoon = false;
      isNormal = false;
    }

    private float[] nextLogitsNow() {
      if (!foreseesNext) {
        System.arraycopy(nextBias, 0, nextLogits, 0, nextBias.length);
        addRows(next, state, nextLogits);
        foreseesNext = true;
      }
      return nextLogits;
    }

    private float[] soonLogitsNow() {
      if (!foreseesSoon) {
        System.arraycopy(soonBias, 0, soonLogits, 0, soonBias.length);
        addRows(soon, state, soonLogits);
        foreseesSoon = true;
      }
      return soonLogits;
    }

    private void normalise() {
      nextLogitsNow();
      float most = nextLogits[0];
      for (float logit : nextLogits) {
        most = Math.max(most, logit);
      }
      for (int word = 0; word < exponentials.length; word++) {
        exponentials[word] = Approximation.exp(nextLogits[word] - most);
      }
      sum = 0;
      for (float exponential : exponentials) {
        sum += exponential;
      }
      isNormal = true;
    }

    /// What was read last, or -1.
    public long before() {
      return before;
    }

    /// How likely a word is the next one.
    public double next(int word) {
      if (!isNormal) {
        normalise();
      }
      return exponentials[word] / sum;
    }

    /// How likely a resource is the next one.
    public double next(long resource) {
      int word = vocabulary.word(resource, before);
      return word == Vocabulary.OTHER ? 0 : next(word);
    }

    /// The logit of a word's being one of the next [#HORIZON].
    public float soon(int word) {
      return soonLogitsNow()[word];
    }

    /// The words that are likeliest next, the likeliest first.
    ///
    /// @param into is filled
    public void likeliest(int[] into) {
      greatest(nextLogitsNow(), into);
    }

    /// The words that are likeliest to come soon, the likeliest first.
    ///
    /// @param into is filled
    public void soonest(int[] into) {
      greatest(soonLogitsNow(), into);
    }

    /// The raw output, for comparisons with what trained the network.
    public float[] nextLogits() {
      return nextLogitsNow().clone();
    }
  }

  /// Adds to the sums each row of weights, times its factor: eight rows at a time, because loading
  /// and storing the sums is what costs.
  private static void addRows(float[][] rows, float[] factors, float[] sums) {
    int row = 0;
    for (; row + 7 < factors.length; row += 8) {
      addEight(rows, factors, row, sums);
    }
    for (; row < factors.length; row++) {
      float[] weights = rows[row];
      float factor = factors[row];
      for (int i = 0; i < sums.length; i++) {
        sums[i] += weights[i] * factor;
      }
    }
  }

  private static void addEight(float[][] rows, float[] factors, int row, float[] sums) {
    float[] a = rows[row];
    float[] b = rows[row + 1];
    float[] c = rows[row + 2];
    float[] d = rows[row + 3];
    float[] e = rows[row + 4];
    float[] f = rows[row + 5];
    float[] g = rows[row + 6];
    float[] h = rows[row + 7];
    float byA = factors[row];
    float byB = factors[row + 1];
    float byC = factors[row + 2];
    float byD = factors[row + 3];
    float byE = factors[row + 4];
    float byF = factors[row + 5];
    float byG = factors[row + 6];
    float byH = factors[row + 7];
    for (int i = 0; i < sums.length; i++) {
      float first = a[i] * byA + b[i] * byB + c[i] * byC + d[i] * byD;
      sums[i] += first + (e[i] * byE + f[i] * byF + g[i] * byG + h[i] * byH);
    }
  }

  /// The words with the greatest values, by insertion.
  private static void greatest(float[] values, int[] into) {
    int found = 0;
    float least = Float.NEGATIVE_INFINITY;
    for (int word = 0; word < values.length; word++) {
      float value = values[word];
      if (value <= least) {
        continue;
      }
      int at = found < into.length ? found++ : found - 1;
      while (at > 0 && values[into[at - 1]] < value) {
        into[at] = into[at - 1];
        at--;
      }
      into[at] = word;
      least = found < into.length ? least : values[into[found - 1]];
    }
    for (int i = found; i < into.length; i++) {
      into[i] = Vocabulary.OTHER;
    }
  }

  /// All weights, in the order and the layout of the constructor; not to be changed.
  public List<float[]> weights() {
    return List.of(
        flat(input), flat(recurrent), recurrentBias, flat(next), nextBias, flat(soon), soonBias);
  }

  private static float[] flat(float[][] rows) {
    int width = rows[0].length;
    float[] flat = new float[rows.length * width];
    for (int row = 0; row < rows.length; row++) {
      System.arraycopy(rows[row], 0, flat, row * width, width);
    }
    return flat;
  }
}
