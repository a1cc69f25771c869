package dev.prestage.engine.predict;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/// Sequential runs: how often a run of a given length goes on, counted, and the next resources of
/// the current run.
final class SequentialRuns {
  /// Run lengths 1, 2, 3-4, 5-8 and so on; the last class takes the rest.
  private static final int CLASSES = 8;

  private static final int MAX_AHEAD = 32;

  private static final double NEGLIGIBLE = 0.05;

  /// Counts are halved when one reaches this, so that old habits fade.
  private static final int MAX_COUNT = 1000;

  private final int[] continued = new int[CLASSES];
  private final int[] ended = new int[CLASSES];

  private static int classOf(int length) {
    return Math.min(CLASSES - 1, 32 - Integer.numberOfLeadingZeros(length - 1));
  }

  private void count(int length, boolean goesOn) {
    int[] counts = goesOn ? continued : ended;
    int c = classOf(length);
    if (++counts[c] >= MAX_COUNT) {
      continued[c] /= 2;
      ended[c] /= 2;
    }
  }

  /// The share of runs of this length that went on; before any evidence a quarter of single touches
  /// do, and half of the rest.
  private double continuation(int length) {
    int c = classOf(length);
    double prior = length == 1 ? 0.25 : 0.5;
    return (continued[c] + 2 * prior) / (continued[c] + ended[c] + 2.0);
  }

  void write(DataOutput out) throws IOException {
    for (int c = 0; c < CLASSES; c++) {
      out.writeInt(continued[c]);
      out.writeInt(ended[c]);
    }
  }

  static SequentialRuns read(DataInput in) throws IOException {
    SequentialRuns runs = new SequentialRuns();
    for (int c = 0; c < CLASSES; c++) {
      runs.continued[c] = in.readInt();
      runs.ended[c] = in.readInt();
    }
    return runs;
  }

  /// The run that one stream is in.
  final class Run {
    private long last = -1;
    private int length;

    void observe(long resource) {
      if (resource == last) {
        return;
      }
      boolean goesOn = length > 0 && resource == last + 1;
      if (length > 0) {
        count(length, goesOn);
      }
      length = goesOn ? length + 1 : 1;
      last = resource;
    }

    void forecast(long nowNanos, long gapNanos, long horizonNanos, Forecast into) {
      double probability = length == 0 ? 0 : 1;
      for (int step = 1; step <= MAX_AHEAD && step * gapNanos <= horizonNanos; step++) {
        probability *= continuation(length + step - 1);
        if (probability < NEGLIGIBLE) {
          return;
        }
        into.add(last + step, probability, nowNanos + step * gapNanos, Expert.SEQUENTIAL);
      }
    }
  }
}
