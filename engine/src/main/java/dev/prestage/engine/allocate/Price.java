package dev.prestage.engine.allocate;

/// What one more staged unit costs on this host, as a share of what a missed one costs: the
/// threshold that `auto` stands for.
///
/// Staging pays when probability × latency saved > bytes ÷ bandwidth × load + probability of
/// evicting something useful × its latency. What is evicted is missed as what was not staged is, so
/// its latency is the same, and dividing by it leaves the threshold. Confined to the engine thread.
final class Price {
  /// Until the link was seen at work: what traffic is weighed with in simulations.
  static final double FIRST_BYTES_PER_SECOND = 200e6;

  /// Nothing less likely is staged, however cheap it is: a forecast of one in a hundred is not that
  /// exact.
  static final double LEAST = .01;

  /// What is nearly certain is staged, however dear it is.
  static final double MOST = .95;

  /// The share of what may be in flight above which the price stands still, at twenty times that of
  /// an idle link.
  private static final double MOST_LOAD = .95;

  private static final long WINDOW_NANOS = 100_000_000;

  /// A link that became slower is believed after some ten seconds of work: each window that shows
  /// less takes a hundredth of the difference.
  private static final double FADING = .01;

  /// After so many arrivals what was regretted counts half; also the arrivals that a host without
  /// any is thought to have had.
  private static final int MEMORY = 1024;

  private double bytesPerSecond = FIRST_BYTES_PER_SECOND;
  private long windowNanos;
  private long windowBytes;
  private boolean busy;
  private double arrivals = MEMORY;
  private double regrets;

  /// Staged bytes came.
  ///
  /// @param isBusy whether at least half of what may be in flight was; a link that has little to do
  ///   does not show how fast it is
  void landed(long bytes, boolean isBusy, long nowNanos) {
    if (isBusy && busy && nowNanos >= windowNanos) {
      windowBytes += bytes;
      if (nowNanos - windowNanos >= WINDOW_NANOS) {
        double seen = windowBytes * 1e9 / (nowNanos - windowNanos);
        bytesPerSecond =
            seen > bytesPerSecond ? seen : bytesPerSecond + (seen - bytesPerSecond) * FADING;
        windowNanos = nowNanos;
        windowBytes = 0;
      }
    } else {
      windowNanos = nowNanos;
      windowBytes = 0;
    }
    busy = isBusy;
  }

  /// Units came or were sent for.
  void came(int units) {
    arrivals += units;
    if (arrivals > 2 * MEMORY) {
      arrivals /= 2;
      regrets /= 2;
    }
  }

  /// A guest missed a unit that was here and had to leave.
  void regretted() {
    regrets++;
  }

  /// What staged bytes come at.
  double bytesPerSecond() {
    return bytesPerSecond;
  }

  /// The threshold for a unit.
  ///
  /// @param bytes its size
  /// @param savedNanos what a guest that misses it waits
  /// @param load the share of what may be in flight that is
  double threshold(long bytes, long savedNanos, double load) {
    double nanos = bytes * 1e9 / bytesPerSecond / (1 - Math.clamp(load, 0, MOST_LOAD));
    double evicting = Math.min(1, regrets / arrivals);
    return Math.clamp(nanos / Math.max(1, savedNanos) + evicting, LEAST, MOST);
  }
}
