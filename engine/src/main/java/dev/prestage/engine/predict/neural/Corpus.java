package dev.prestage.engine.predict.neural;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/// What a network is trained on: streams of requests, each as the resources at which its requests
/// began, in order. Repeats of a request are one.
///
/// As bytes: magic, version, number of streams; for each its length and its resources, as 64-bit
/// numbers, big-endian.
///
/// @param streams oldest first
public record Corpus(List<long[]> streams) {
  private static final long MAGIC = 0x5052455354434F52L; // "PRESTCOR"
  private static final int VERSION = 1;
  private static final int MOST_STREAMS = 1 << 20;
  private static final int MOST_REQUESTS = 1 << 26;

  public Corpus {
    streams = List.copyOf(streams);
  }

  /// How many requests there are in all.
  public long requests() {
    return streams.stream().mapToLong(stream -> stream.length).sum();
  }

  public void write(DataOutput out) throws IOException {
    out.writeLong(MAGIC);
    out.writeInt(VERSION);
    out.writeInt(streams.size());
    for (long[] stream : streams) {
      out.writeInt(stream.length);
      for (long resource : stream) {
        out.writeLong(resource);
      }
    }
  }

  /// Reads what [#write] wrote.
  ///
  /// @throws IllegalArgumentException if the bytes are no corpus
  public static Corpus read(DataInput in) throws IOException {
    if (in.readLong() != MAGIC) {
      throw new IllegalArgumentException("it is not a corpus");
    }
    int version = in.readInt();
    if (version != VERSION) {
      throw new IllegalArgumentException(
          "it has format version " + version + ", this Prestage reads " + VERSION);
    }
    int count = within(in.readInt(), MOST_STREAMS);
    List<long[]> streams = new ArrayList<>();
    long left = MOST_REQUESTS;
    for (int i = 0; i < count; i++) {
      long[] stream = new long[within(in.readInt(), left)];
      left -= stream.length;
      for (int j = 0; j < stream.length; j++) {
        stream[j] = in.readLong();
      }
      streams.add(stream);
    }
    return new Corpus(streams);
  }

  private static int within(int count, long most) {
    if (count < 0 || count > most) {
      throw new IllegalArgumentException(
          "it announces " + count + " where at most " + most + " fit");
    }
    return count;
  }
}
