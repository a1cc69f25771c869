package dev.prestage.engine.predict;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/// Sequential runs: how often a run of a given length goes on, counted, and the next resources of
/// the current run.
final class SequentialRuns {
  /// Run lengths 1, 2, 3-4, 5-8 and so on; the last class takes the rest.
  private static final int CLASSES = 8;

  private static final int MAX_AHEAD = 32;

  private static final double NEGLIGIBLE = 0.05;

  /// Counts are halved when one reaches this, so that old habits fade.
  private static final int MAX_COUNT = 1000;

  private final Counts unknownProgram = new Counts();
  private final Counts knownProgram = new Counts();

  /// How runs went on, by class of length.
  private static final class Counts {
    final int[] continued = new int[CLASSES];
    final int[] ended = new int[CLASSES];

    void count(int length, boolean goesOn) {
      int[] counts = goesOn ? continued : ended;
      int c = classOf(length);
      if (++counts[c] >= MAX_COUNT) {
        continued[c] /= 2;
        ended[c] /= 2;
      }
    }

    /// The share of runs of this length that went on; before any evidence a quarter of single
    /// touches do, and half of the rest.
    double continuation(int length) {
      int c = classOf(length);
      double prior = length == 1 ? 0.25 : 0.5;
      return (continued[c] + 2 * prior) / (continued[c] + ended[c] + 2.0);
    }
  }

  private static int classOf(int length) {
    return Math.min(CLASSES - 1, 32 - Integer.numberOfLeadingZeros(length - 1));
  }

  void write(DataOutput out) throws IOException {
    for (Counts counts : List.of(unknownProgram, knownProgram)) {
      for (int c = 0; c < CLASSES; c++) {
        out.writeInt(counts.continued[c]);
        out.writeInt(counts.ended[c]);
      }
    }
  }

  static SequentialRuns read(DataInput in) throws IOException {
    SequentialRuns runs = new SequentialRuns();
    for (Counts counts : List.of(runs.unknownProgram, runs.knownProgram)) {
      for (int c = 0; c < CLASSES; c++) {
        counts.continued[c] = ResourceCodec.checkedSize(in.readInt(), MAX_COUNT);
        counts.ended[c] = ResourceCodec.checkedSize(in.readInt(), MAX_COUNT);
      }
    }
    return runs;
  }

  /// A stream begins.
  ///
  /// @param known whether the program has been seen before
  Run start(boolean known) {
    return new Run(known ? knownProgram : unknownProgram);
  }

  /// The run that one stream is in.
  static final class Run {
    private final Counts counts;
    private long last = -1;
    private int length;

    private Run(Counts counts) {
      this.counts = counts;
    }

    /// The resource with which the run would go on.
    long next() {
      return last + 1;
    }

    /// Adds the one resource with which the run would go on.
    void next(long dueNanos, Forecast into) {
      if (length > 0) {
        into.add(next(), counts.continuation(length), dueNanos, Expert.SEQUENTIAL);
      }
    }

    /// @param foretold whether something else foretold that the run goes on
    void observe(long resource, boolean foretold) {
      if (resource == last) {
        return;
      }
      boolean goesOn = length > 0 && resource == next();
      if (length > 0 && !foretold) {
        counts.count(length, goesOn);
      }
      length = goesOn ? length + 1 : 1;
      last = resource;
    }

    void forecast(long nowNanos, long gapNanos, long horizonNanos, Forecast into) {
      double probability = length == 0 ? 0 : 1;
      for (int step = 1; step <= MAX_AHEAD && step * gapNanos <= horizonNanos; step++) {
        probability *= counts.continuation(length + step - 1);
        if (probability < NEGLIGIBLE) {
          return;
        }
        into.add(last + step, probability, nowNanos + step * gapNanos, Expert.SEQUENTIAL);
      }
    }
  }
}
