package dev.prestage.engine.resource;

/// How a space is divided into units.
///
/// A set of units that are there or not, such as blocks and pages, has depth 1. A quantity is a
/// stack of levels: unit `m * depth + j` is level `j` of meter `m`, touched when demand reaches it.
///
/// @param amount the size of the whole; at least 1
/// @param unitAmount the size of one unit; the last one may be shorter
/// @param measure what both are counted in
/// @param depth how many levels a meter has; 1 if the units are no levels
public record Shape(long amount, long unitAmount, Measure measure, int depth) {
  /// The unit of file blocks in bytes: 64 KiB. Larger wastes bytes of the origin on what is not
  /// touched, smaller multiplies the ids that a model must hold (64 KiB described all recorded
  /// starts with 3,253 ids, 4 KiB needed 43,133).
  public static final int BLOCK_BYTES = 64 * 1024;

  public Shape {
    if (amount < 1 || unitAmount < 1 || depth < 1) {
      throw new IllegalArgumentException(
          "no shape of " + amount + " by " + unitAmount + ", " + depth + " deep");
    }
  }

  /// A set of file blocks.
  public static Shape blocks(long sizeBytes) {
    return new Shape(sizeBytes, BLOCK_BYTES, Measure.BYTES, 1);
  }

  /// Whether what stands ready for one binding serves no other: a rate that is promised is. Content
  /// is there for whoever reads it, and a connection for whoever asks for one.
  public boolean isOwn() {
    return measure == Measure.BYTES_PER_SECOND;
  }

  /// What a unit takes of the room for content, in bytes; nothing if it is none.
  public long contentAmount() {
    return measure == Measure.BYTES ? unitAmount : 0;
  }

  /// How many units there are.
  public long units() {
    return (amount - 1) / unitAmount + 1;
  }

  /// Whether two units may stand in one lease: levels of one meter, or any of a set.
  public boolean belongTogether(long one, long other) {
    return depth == 1 || one / depth == other / depth;
  }

  /// The amount of `count` units from `first` on; the end cuts it short.
  public long amount(long first, int count) {
    return Math.min(count * unitAmount, amount - first * unitAmount);
  }
}
