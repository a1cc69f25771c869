package dev.prestage.simulator.cache;

/// A set of positions below a fixed bound that knows its last one: bits, and above each 64 words
/// one bit a word that says whether the word is empty, up to a single word.
///
/// Four levels reach 16 million positions, so that each operation is a few instructions, where a
/// heap of the same positions would sift, and would have to find a position before it removed it.
final class PositionSet {
  private final long[][] levels;

  /// @param bound the number of positions, at least 1
  PositionSet(int bound) {
    int depth = 1;
    for (int words = words(bound); words > 1; words = words(words)) {
      depth++;
    }
    this.levels = new long[depth][];
    int bits = bound;
    for (int level = 0; level < depth; level++) {
      bits = words(bits);
      levels[level] = new long[bits];
    }
  }

  private static int words(int bits) {
    return ((bits - 1) >>> 6) + 1;
  }

  boolean contains(int position) {
    return (levels[0][position >>> 6] & (1L << position)) != 0;
  }

  void add(int position) {
    int bit = position;
    for (long[] level : levels) {
      level[bit >>> 6] |= 1L << bit;
      bit >>>= 6;
    }
  }

  void remove(int position) {
    int bit = position;
    for (long[] level : levels) {
      level[bit >>> 6] &= ~(1L << bit);
      if (level[bit >>> 6] != 0) {
        return;
      }
      bit >>>= 6;
    }
  }

  /// The last position of a set that is not empty.
  int last() {
    int word = 0;
    for (int level = levels.length - 1; level >= 0; level--) {
      word = (word << 6) + 63 - Long.numberOfLeadingZeros(levels[level][word]);
    }
    return word;
  }
}
