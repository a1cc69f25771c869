package dev.prestage.engine.resource;

/// A resource as one `long`, for hot paths: 23 bits of space, 40 bits of index in it.
///
/// 2^40 units of 64 KiB are 64 PiB, and 2^23 spaces are more images than a host will ever hold. The
/// value is never negative. It means something only on the host whose registry numbered the spaces;
/// what leaves the host names the space.
public final class Resource {
  private static final int INDEX_BITS = 40;
  private static final long MAX_INDEX = (1L << INDEX_BITS) - 1;
  private static final int MAX_SPACE = (1 << 23) - 1;

  private Resource() {}

  /// The resource at `index` of `space`.
  public static long of(int space, long index) {
    if (space < 0 || space > MAX_SPACE || index < 0 || index > MAX_INDEX) {
      throw new IllegalArgumentException("no resource " + index + " in space " + space);
    }
    return ((long) space << INDEX_BITS) | index;
  }

  /// The space in which the resource lies.
  public static int space(long resource) {
    return (int) (resource >>> INDEX_BITS);
  }

  /// The position of the resource in its space, in units of that space.
  public static long index(long resource) {
    return resource & MAX_INDEX;
  }
}
