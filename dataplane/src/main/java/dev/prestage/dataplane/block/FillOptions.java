package dev.prestage.dataplane.block;

/// How the rest of images is brought behind everything else.
///
/// @param bytesPerSecond from each origin; 0: nothing is
/// @param amplification of an image at most this many times the bytes that came for other reasons;
///   0: no such cap
public record FillOptions(long bytesPerSecond, double amplification) {
  /// Nothing is filled.
  public static final FillOptions OFF = new FillOptions(0, 0);

  /// 16 MiB/s fill an image of 20 GiB in 21 minutes and take an eighth of a link of 1 Gbit/s.
  public static final long DEFAULT_BYTES_PER_SECOND = 16L << 20;

  /// An image of which less than a hundredth was asked for is more waste than use.
  public static final double DEFAULT_AMPLIFICATION = 100;

  /// Whether anything is filled.
  public boolean isOn() {
    return bytesPerSecond > 0;
  }
}
