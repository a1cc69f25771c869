package dev.prestage.engine.predict.neural;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.nio.ByteBuffer;

/// A network as bytes, big-endian: the numbers of resources and distances and the size of the
/// memory, the vocabulary, then the weights in the order of [Network]'s constructor, each group
/// with nothing around it, since its size follows.
public final class NetworkFile {
  /// A network with 1,024 words and a memory of 64 cells has 1.4 MB.
  private static final int MOST_WORDS = 1 << 14;

  private static final int MOST_HIDDEN = 512;
  private static final int MOST_WEIGHTS = 1 << 23;

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
  public static Network read(DataInput in, ResourceIn resources) throws IOException {
    int units = checked("resources", in.readInt(), 0, MOST_WORDS);
    int steps = checked("distances", in.readInt(), 0, MOST_WORDS);
    int hidden = checked("cells", in.readInt(), 1, MOST_HIDDEN);
    int words = 1 + units + steps;
    long weights = (long) words * (5 * hidden + 2) + 3L * hidden * (hidden + 1);
    if (weights > MOST_WEIGHTS) {
      throw new IllegalArgumentException("a network of " + weights + " weights");
    }
    long[] resource = new long[units];
    for (int i = 0; i < units; i++) {
      resource[i] = resources.read(in);
    }
    long[] distance = new long[steps];
    for (int i = 0; i < steps; i++) {
      distance[i] = in.readLong();
    }
    return new Network(
        new Vocabulary(resource, distance),
        hidden,
        floats(in, words * 3 * hidden),
        floats(in, hidden * 3 * hidden),
        floats(in, 3 * hidden),
        floats(in, hidden * words),
        floats(in, words),
        floats(in, hidden * words),
        floats(in, words));
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
      if (!Float.isFinite(weight)) {
        throw new IllegalArgumentException("a network with a weight of " + weight);
      }
    }
    return weights;
  }
}
