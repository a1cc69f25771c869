package dev.prestage.trainer;

import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.locks.LockSupport;

/// How much of its time the trainer works: all of it, or a fifth while it is told to yield. Even at
/// the lowest priority it takes a processor's caches and wake-ups from whoever reads meanwhile; at
/// a fifth few of their reads meet it.
final class Pace {
  /// Said when others are at work, and when they are not any more.
  static final char YIELD = 'y';

  static final char WORK = 'w';

  /// So many times as long as it worked it rests.
  private static final int RESTS = 4;

  private volatile boolean yields;

  /// Hears what is said, until there is nobody who could.
  void hear(InputStream words) throws IOException {
    for (int word = words.read(); word >= 0; word = words.read()) {
      if (word == YIELD || word == WORK) {
        yields = word == YIELD;
      }
    }
  }

  /// A piece of work is done: rests, if it is to yield.
  void rest(long workedNanos) {
    long end = System.nanoTime() + RESTS * workedNanos;
    for (long left = RESTS * workedNanos; yields && left > 0; left = end - System.nanoTime()) {
      LockSupport.parkNanos(left);
    }
  }
}
