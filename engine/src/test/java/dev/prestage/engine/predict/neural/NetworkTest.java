package dev.prestage.engine.predict.neural;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class NetworkTest {
  private static final Vocabulary WORDS =
      new Vocabulary(new long[] {3, 10, 11, 90}, new long[] {-7, 1, 4});
  private static final int HIDDEN = 11;

  private final Random random = new Random(4);

  private float[] weights(int count) {
    float[] weights = new float[count];
    for (int i = 0; i < count; i++) {
      weights[i] = (float) random.nextGaussian();
    }
    return weights;
  }

  private final float[] input = weights(WORDS.words() * 3 * HIDDEN);
  private final float[] recurrent = weights(HIDDEN * 3 * HIDDEN);
  private final float[] recurrentBias = weights(3 * HIDDEN);
  private final float[] next = weights(HIDDEN * WORDS.words());
  private final float[] nextBias = weights(WORDS.words());
  private final float[] soon = weights(HIDDEN * WORDS.words());
  private final float[] soonBias = weights(WORDS.words());
  private final Network network =
      new Network(WORDS, HIDDEN, input, recurrent, recurrentBias, next, nextBias, soon, soonBias);

  /// The same by the book, in doubles.
  private final class Book {
    private double[] state = new double[HIDDEN];

    double gate(int word, int gate, boolean withInput) {
      double sum = recurrentBias[gate] + (withInput ? input[word * 3 * HIDDEN + gate] : 0);
      for (int i = 0; i < HIDDEN; i++) {
        sum += recurrent[i * 3 * HIDDEN + gate] * state[i];
      }
      return sum;
    }

    void step(int word) {
      double[] after = new double[HIDDEN];
      for (int i = 0; i < HIDDEN; i++) {
        double r = 1 / (1 + Math.exp(-gate(word, i, true)));
        double z = 1 / (1 + Math.exp(-gate(word, HIDDEN + i, true)));
        double own = input[word * 3 * HIDDEN + 2 * HIDDEN + i];
        double n = Math.tanh(own + r * gate(word, 2 * HIDDEN + i, false));
        after[i] = (1 - z) * n + z * state[i];
      }
      state = after;
    }

    double logit(float[] weights, float[] bias, int word) {
      double sum = bias[word];
      for (int i = 0; i < HIDDEN; i++) {
        sum += weights[i * WORDS.words() + word] * state[i];
      }
      return sum;
    }
  }

  @Test
  void stepsAreThoseOfTheDefinition() {
    Network.Memory memory = network.new Memory();
    Book book = new Book();
    long before = -1;
    for (int i = 0; i < 200; i++) {
      long resource = random.nextInt(14);
      book.step(WORDS.word(resource, before));
      memory.read(resource);
      before = resource;
      float[] logits = memory.nextLogits();
      double sum = 0;
      for (int word = 0; word < WORDS.words(); word++) {
        double expected = book.logit(next, nextBias, word);
        assertThat((double) logits[word]).isCloseTo(expected, within(2e-5));
        assertThat((double) memory.soon(word))
            .isCloseTo(book.logit(soon, soonBias, word), within(2e-5));
        sum += Math.exp(expected);
      }
      for (int word = 0; word < WORDS.words(); word++) {
        double expected = Math.exp(book.logit(next, nextBias, word)) / sum;
        assertThat(memory.next(word)).isCloseTo(expected, within(1e-5));
      }
    }
  }

  @Test
  void likeliestWordsComeInTheirOrder() {
    Network.Memory memory = network.new Memory();
    memory.read(10);
    int[] three = new int[3];
    memory.likeliest(three);
    assertThat(memory.next(three[0])).isGreaterThanOrEqualTo(memory.next(three[1]));
    assertThat(memory.next(three[1])).isGreaterThanOrEqualTo(memory.next(three[2]));
    for (int word = 0; word < WORDS.words(); word++) {
      if (word != three[0] && word != three[1] && word != three[2]) {
        assertThat(memory.next(word)).isLessThanOrEqualTo(memory.next(three[2]));
      }
    }
    int[] more = new int[20];
    memory.soonest(more);
    assertThat(more).startsWith(argmax(memory)).endsWith(Vocabulary.OTHER);
  }

  private static int argmax(Network.Memory memory) {
    int best = 0;
    for (int word = 1; word < WORDS.words(); word++) {
      best = memory.soon(word) > memory.soon(best) ? word : best;
    }
    return best;
  }

  @Test
  void eachRequestHasOneWord() {
    assertThat(WORDS.word(10, 9)).as("a word of its own before a distance").isEqualTo(2);
    assertThat(WORDS.word(20, 19)).isEqualTo(6);
    assertThat(WORDS.word(20, -1)).as("nothing came before").isEqualTo(Vocabulary.OTHER);
    assertThat(WORDS.word(20, 12)).isEqualTo(Vocabulary.OTHER);
    assertThat(WORDS.meaning(6, 19)).isEqualTo(20);
    assertThat(WORDS.meaning(6, 9)).as("10 has a word of its own").isEqualTo(-1);
    assertThat(WORDS.meaning(5, 3)).as("there is nothing at -4").isEqualTo(-1);
    assertThat(WORDS.meaning(Vocabulary.OTHER, 3)).isEqualTo(-1);
    assertThat(WORDS.meaning(4, -1)).isEqualTo(90);
    assertThatThrownBy(() -> new Vocabulary(new long[] {4, 4}, new long[0]))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void approximationsAreCloseEverywhere() {
    for (float x = -90; x < 90; x += .037f) {
      double exact = Math.exp(Math.clamp((double) x, -87, 87));
      assertThat((double) Approximation.exp(x)).isCloseTo(exact, within(exact * 1e-5));
      assertThat((double) Approximation.tanh(x)).isCloseTo(Math.tanh(x), within(1e-6));
      assertThat((double) Approximation.sigmoid(x)).isCloseTo(1 / (1 + Math.exp(-x)), within(1e-6));
    }
  }

  private static byte[] bytes(Network network) throws IOException {
    var bytes = new ByteArrayOutputStream();
    NetworkFile.write(
        network, new DataOutputStream(bytes), (resource, to) -> to.writeLong(resource));
    return bytes.toByteArray();
  }

  private static Network read(byte[] bytes) throws IOException {
    return NetworkFile.read(
        new DataInputStream(new ByteArrayInputStream(bytes)), DataInput::readLong);
  }

  @Test
  void fileKeepsEveryWeight() throws IOException {
    Network again = read(bytes(network));
    assertThat(bytes(again)).isEqualTo(bytes(network));
    Network.Memory one = network.new Memory();
    Network.Memory other = again.new Memory();
    for (long resource : new long[] {10, 3, 4, 90}) {
      one.read(resource);
      other.read(resource);
    }
    assertThat(other.nextLogits()).isEqualTo(one.nextLogits());
  }

  @Test
  void hostWithOtherNumbersReadsTheSameNetwork() throws IOException {
    // The other host turns the order of resources round.
    var bytes = new ByteArrayOutputStream();
    NetworkFile.write(
        network, new DataOutputStream(bytes), (resource, to) -> to.writeLong(100 - resource));
    Network.Memory there = read(bytes.toByteArray()).new Memory();
    Network.Memory here = network.new Memory();
    for (long resource : new long[] {10, 3, 11, 90, 10}) {
      here.read(resource);
      there.read(100 - resource);
    }
    for (long resource : new long[] {3, 10, 11, 90}) {
      assertThat(there.next(100 - resource)).isCloseTo(here.next(resource), within(1e-6));
    }
  }

  @Test
  void fileThatMakesNoNetworkIsRefused() throws IOException {
    byte[] good = bytes(network);
    byte[] manyWords = good.clone();
    ByteBuffer.wrap(manyWords).putInt(4, Integer.MAX_VALUE);
    byte[] manyCells = good.clone();
    ByteBuffer.wrap(manyCells).putInt(12, 0);
    byte[] twice = good.clone();
    ByteBuffer.wrap(twice).putLong(16 + 8, 3);
    byte[] notANumber = good.clone();
    ByteBuffer.wrap(notANumber).putFloat(good.length - 4, Float.NaN);
    byte[] huge = good.clone();
    ByteBuffer.wrap(huge).putFloat(good.length - 4, 1e30f);
    byte[] later = good.clone();
    ByteBuffer.wrap(later).putInt(0, 2);
    for (byte[] bad : List.of(manyWords, manyCells, twice, notANumber, huge, later)) {
      assertThatThrownBy(() -> read(bad)).isInstanceOf(IllegalArgumentException.class);
    }
    for (int length = 0; length < good.length; length += 97) {
      byte[] cut = Arrays.copyOf(good, length);
      assertThatThrownBy(() -> read(cut)).isInstanceOf(EOFException.class);
    }
  }

  @Test
  void corpusIsReadAsItWasWritten() throws IOException {
    var bytes = new ByteArrayOutputStream();
    Corpus corpus = new Corpus(List.of(new long[] {1, 2, 1L << 60}, new long[0]));
    corpus.write(new DataOutputStream(bytes));
    Corpus again = Corpus.read(new DataInputStream(new ByteArrayInputStream(bytes.toByteArray())));
    assertThat(again.requests()).isEqualTo(3);
    assertThat(again.streams().get(0)).containsExactly(1, 2, 1L << 60);
    byte[] hostile = bytes.toByteArray();
    ByteBuffer.wrap(hostile).putInt(16, Integer.MAX_VALUE);
    assertThatThrownBy(() -> Corpus.read(new DataInputStream(new ByteArrayInputStream(hostile))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("it announces 2147483647");
  }
}
