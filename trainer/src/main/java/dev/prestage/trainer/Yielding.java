package dev.prestage.trainer;

import java.io.IOException;
import java.io.InputStream;

/// Whether the trainer works, or rests because whoever started it says that guests are at work.
final class Yielding {
  /// Said when others are at work, and when they are not any more.
  private static final char REST = 'r';

  private static final char WORK = 'w';

  private boolean rests;

  /// Hears what is said, until there is nobody who could.
  void hear(InputStream words) throws IOException {
    for (int word = words.read(); word >= 0; word = words.read()) {
      if (word == REST || word == WORK) {
        told(word == REST);
      }
    }
  }

  private synchronized void told(boolean isToRest) {
    rests = isToRest;
    notifyAll();
  }

  /// A piece of work is done: waits while there is to be a rest.
  synchronized void rest() {
    while (rests) {
      try {
        wait();
      } catch (InterruptedException e) {
        throw new IllegalStateException("nobody interrupts the trainer", e);
      }
    }
  }
}
