package dev.prestage.trainer;

import java.io.DataInput;
import java.io.IOException;

/// What a network's words add to its gates, in the two factors that a network is trained with; a
/// network that serves has their product.
///
/// @param width of a word's embedding
/// @param words the embedding of each word: `w · width`
/// @param gates what each of its cells adds to the gates r, z, n: `width · 3h`
@SuppressWarnings("ArrayRecordComponent") // weights, not compared
record Embedding(int width, float[] words, float[] gates) {
  private static final int MOST_WIDTH = 256;

  /// Reads a width, the embeddings of words, and what their cells add to the gates. Big-endian.
  static Embedding read(DataInput in, int words, int gates) throws IOException {
    int width = in.readInt();
    if (width < 1 || width > MOST_WIDTH) {
      throw new IllegalArgumentException("an embedding of width " + width);
    }
    return new Embedding(width, floats(in, words * width), floats(in, width * gates));
  }

  private static float[] floats(DataInput in, int count) throws IOException {
    float[] read = new float[count];
    for (int i = 0; i < count; i++) {
      read[i] = in.readFloat();
    }
    return read;
  }
}
