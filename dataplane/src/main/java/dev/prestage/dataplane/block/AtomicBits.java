package dev.prestage.dataplane.block;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.BitSet;
import java.util.concurrent.atomic.AtomicInteger;

/// A fixed number of bits, one per extent, that any thread reads and changes without a lock. What a
/// thread wrote before it set or cleared a bit is seen by whoever sees the bit changed.
final class AtomicBits {
  private static final VarHandle WORDS = MethodHandles.arrayElementVarHandle(long[].class);

  private final long[] words;
  private final int size;
  private final AtomicInteger cardinality = new AtomicInteger();

  AtomicBits(int size) {
    this.size = size;
    this.words = new long[(size + Long.SIZE - 1) / Long.SIZE];
  }

  boolean get(int index) {
    return (word(index >>> 6) & (1L << index)) != 0;
  }

  /// Sets a bit; tells whether this call changed it.
  boolean set(int index) {
    long bit = 1L << index;
    boolean isNew = ((long) WORDS.getAndBitwiseOr(words, index >>> 6, bit) & bit) == 0;
    if (isNew) {
      cardinality.incrementAndGet();
    }
    return isNew;
  }

  /// Clears a bit; tells whether this call changed it.
  boolean clear(int index) {
    long bit = 1L << index;
    boolean wasSet = ((long) WORDS.getAndBitwiseAnd(words, index >>> 6, ~bit) & bit) != 0;
    if (wasSet) {
      cardinality.decrementAndGet();
    }
    return wasSet;
  }

  /// How many bits are set. While others change bits it may be wrong for a moment.
  int cardinality() {
    return cardinality.get();
  }

  /// Whether all of a range is set.
  boolean all(int first, int count) {
    for (int i = first; i < first + count; i++) {
      if (!get(i)) {
        return false;
      }
    }
    return true;
  }

  /// The first bit from an index on that is set here and not set in `others`, or -1.
  int nextSetExcept(AtomicBits others, int from) {
    if (from >= size) {
      return -1;
    }
    int at = from >>> 6;
    long word = word(at) & ~others.word(at) & (-1L << from);
    while (word == 0) {
      if (++at == words.length) {
        return -1;
      }
      word = word(at) & ~others.word(at);
    }
    return (at << 6) + Long.numberOfTrailingZeros(word);
  }

  /// A copy of all bits; each word as it was at some moment during the call.
  BitSet toBitSet() {
    long[] copy = new long[words.length];
    for (int i = 0; i < copy.length; i++) {
      copy[i] = word(i);
    }
    return BitSet.valueOf(copy);
  }

  /// 64 bits from `64 * at` on.
  long word(int at) {
    return (long) WORDS.getAcquire(words, at);
  }
}
