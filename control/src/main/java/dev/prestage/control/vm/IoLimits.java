package dev.prestage.control.vm;

/// What a disk may do; zero is no limit.
public record IoLimits(long bytesPerSecond, long requestsPerSecond) {
  /// No limits.
  public static final IoLimits NONE = new IoLimits(0, 0);

  public IoLimits {
    if (bytesPerSecond < 0 || requestsPerSecond < 0) {
      throw new IllegalArgumentException("a limit is negative");
    }
  }
}
