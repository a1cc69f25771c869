package dev.prestage.engine.predict;

/// Spreads units over slots: multiplication by the golden ratio (Knuth, The Art of Computer
/// Programming 3, 6.4), of which the high half is the best.
final class Hash {
  private static final long GOLDEN = 0x9E3779B97F4A7C15L;

  private Hash() {}

  /// 32 bits, of which any part may choose a slot.
  static int of(long key) {
    return (int) ((key * GOLDEN) >>> 32);
  }
}
