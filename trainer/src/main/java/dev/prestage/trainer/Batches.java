package dev.prestage.trainer;

import dev.prestage.engine.predict.neural.Network;
import java.util.List;

/// All streams one behind the other, cut into as many equal tapes as are trained side by side, and
/// read in step: the memory of a tape goes on from one batch to the next.
final class Batches {
  /// A short corpus is read on fewer tapes, so that an epoch still has so many steps.
  private static final int LEAST_BATCHES = 100;

  private final int tapes;
  private final int steps;
  private final int length;
  private final int[] tape;

  /// @param streams words
  /// @param tapes how many are read side by side, at the most
  /// @param steps how many words of each make a batch
  Batches(List<int[]> streams, int tapes, int steps) {
    int total = streams.stream().mapToInt(stream -> stream.length).sum();
    this.tapes = Math.clamp(total / (LEAST_BATCHES * steps), 1, tapes);
    this.steps = steps;
    this.length = total / this.tapes;
    this.tape = new int[total];
    int at = 0;
    for (int[] stream : streams) {
      System.arraycopy(stream, 0, tape, at, stream.length);
      at += stream.length;
    }
  }

  int tapes() {
    return tapes;
  }

  /// How many batches there are: of each tape the last words are only foreseen.
  int count() {
    return Math.max(0, (length - Network.HORIZON) / steps);
  }

  int words() {
    return count() * tapes * steps;
  }

  /// The words of a batch, tape by tape.
  int[] input(int batch) {
    return cut(batch, 0);
  }

  /// What comes next behind each of them.
  int[] target(int batch) {
    return cut(batch, 1);
  }

  private int[] cut(int batch, int ahead) {
    int[] cut = new int[tapes * steps];
    for (int t = 0; t < tapes; t++) {
      System.arraycopy(tape, t * length + batch * steps + ahead, cut, t * steps, steps);
    }
    return cut;
  }

  /// For each of them which words are among those that come soon, as ones in a row of all words.
  float[] soon(int batch, int words) {
    float[] soon = new float[tapes * steps * words];
    for (int t = 0; t < tapes; t++) {
      for (int s = 0; s < steps; s++) {
        int at = t * length + batch * steps + s;
        int row = (t * steps + s) * words;
        for (int ahead = 1; ahead <= Network.HORIZON; ahead++) {
          soon[row + tape[at + ahead]] = 1;
        }
      }
    }
    return soon;
  }
}
