package dev.prestage.engine.predict.neural;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Comparator;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/// A network as bytes, big-endian: the format's version, the numbers of resources and distances and
/// the size of the memory, the vocabulary, then the weights in the order of [Network]'s
/// constructor, each group with nothing around it, since its size follows.
public final class NetworkFile {
  private static final int VERSION = 1;

  /// A network with 1,024 words and a memory of 64 cells has a third of these weights.
  private static final int MOST_WEIGHTS = 1 << 20;

  private static final int MOST_WORDS = 1 << 12;
  private static final int MOST_HIDDEN = 256;

  /// What a trained weight never comes near to.
  private static final float MOST_WEIGHT = 1000;

  private NetworkFile() {}

  /// How resources are written.
  @FunctionalInterface
  public interface ResourceOut {
    void write(long resource, DataOutput out) throws IOException;
  }

  /// How resources are read.
  @FunctionalInterface
  public interface ResourceIn {
    long read(DataInput in) throws IOException;
  }

  public static void write(Network network, DataOutput out, ResourceOut resources)
      throws IOException {
    Vocabulary vocabulary = network.vocabulary();
    out.writeInt(VERSION);
    out.writeInt(vocabulary.resources());
    out.writeInt(vocabulary.distances());
    out.writeInt(network.hidden());
    for (int word = 1; word <= vocabulary.resources(); word++) {
      resources.write(vocabulary.resource(word), out);
    }
    for (int i = 0; i < vocabulary.distances(); i++) {
      out.writeLong(vocabulary.distance(i));
    }
    for (float[] weights : network.weights()) {
      ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * weights.length);
      bytes.asFloatBuffer().put(weights);
      out.write(bytes.array());
    }
  }

  /// Reads what [#write] wrote.
  ///
  /// @throws IllegalArgumentException if the bytes make no network
  public static Network read(DataInput in, ResourceIn resourceIn) throws IOException {
    int version = in.readInt();
    if (version != VERSION) {
      throw new IllegalArgumentException(
          "a network of format version " + version + ", this Prestage reads " + VERSION);
    }
    int units = checked("resources", in.readInt(), 0, MOST_WORDS);
    int steps = checked("distances", in.readInt(), 0, MOST_WORDS);
    int hidden = checked("cells", in.readInt(), 1, MOST_HIDDEN);
    int words = 1 + units + steps;
    long weights = (long) words * (5 * hidden + 2) + 3L * hidden * (hidden + 1);
    if (weights > MOST_WEIGHTS) {
      throw new IllegalArgumentException("a network of " + weights + " weights");
    }
    long[] resources = new long[units];
    for (int i = 0; i < units; i++) {
      resources[i] = resourceIn.read(in);
    }
    long[] distance = new long[steps];
    for (int i = 0; i < steps; i++) {
      distance[i] = in.readLong();
    }
    int[] order = order(resources, words);
    return new Network(
        new Vocabulary(LongStream.of(resources).sorted().toArray(), distance),
        hidden,
        rows(floats(in, words * 3 * hidden), 3 * hidden, order),
        floats(in, hidden * 3 * hidden),
        floats(in, 3 * hidden),
        columns(floats(in, hidden * words), order),
        columns(floats(in, words), order),
        columns(floats(in, hidden * words), order),
        columns(floats(in, words), order));
  }

  /// Which word of the file each word is: spaces have other numbers on other hosts, and resources
  /// stand in the order of this one.
  private static int[] order(long[] resources, int words) {
    return IntStream.concat(
            IntStream.of(0),
            IntStream.concat(
                IntStream.range(0, resources.length)
                    .boxed()
                    .sorted(Comparator.comparingLong(i -> resources[i]))
                    .mapToInt(i -> 1 + i),
                IntStream.range(1 + resources.length, words)))
        .toArray();
  }

  private static float[] rows(float[] weights, int width, int[] order) {
    float[] ordered = new float[weights.length];
    for (int row = 0; row < order.length; row++) {
      System.arraycopy(weights, order[row] * width, ordered, row * width, width);
    }
    return ordered;
  }

  private static float[] columns(float[] weights, int[] order) {
    float[] ordered = new float[weights.length];
    for (int at = 0; at < weights.length; at++) {
      int column = at % order.length;
      ordered[at] = weights[at - column + order[column]];
    }
    return ordered;
  }

  private static int checked(String what, int count, int least, int most) {
    if (count < least || count > most) {
      throw new IllegalArgumentException("a network of " + count + " " + what);
    }
    return count;
  }

  private static float[] floats(DataInput in, int count) throws IOException {
    byte[] bytes = new byte[Float.BYTES * count];
    in.readFully(bytes);
    float[] weights = new float[count];
    ByteBuffer.wrap(bytes).asFloatBuffer().get(weights);
    for (float weight : weights) {
      if (!(Math.abs(weight) <= MOST_WEIGHT)) {
        throw new IllegalArgumentException("a network with a weight of " + weight);
      }
    }
    return weights;
  }
}
