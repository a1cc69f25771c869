package dev.prestage.dataplane.bandwidth;

import dev.prestage.engine.predict.amount.AmountForecast;
import java.time.Duration;

/// What a VM will ask of a link in the next window, by what it asked before: bursts that come by
/// themselves, without a start of a program. Nine windows in ten ask for no more.
///
/// What was foretold for a window and not promised already is promised for that window, and comes
/// back after it. Guarded by the links' lock.
final class BurstPromise {
  private static final double QUANTILE = 0.9;

  private final AmountForecast forecast;
  private final long levelBytes;
  private long foretoldBytes;
  private long unusedBytes;

  /// @param levelBytes one level, in bytes of a window
  BurstPromise(long levelBytes, long nowNanos) {
    this.levelBytes = levelBytes;
    this.forecast = new AmountForecast(QUANTILE, Duration.ofNanos(Meter.WINDOW_NANOS), nowNanos);
  }

  /// A window has ended.
  void ended(long bytes) {
    double next = forecast.next();
    foretoldBytes += (long) next;
    unusedBytes += Math.max(0, (long) next - bytes);
    forecast.observe((double) bytes);
  }

  /// How many levels the next window will ask for.
  int levels() {
    return (int) Math.ceil(forecast.next() / levelBytes);
  }

  long windows() {
    return forecast.windows();
  }

  long exceeded() {
    return forecast.exceeded();
  }

  long foretoldBytes() {
    return foretoldBytes;
  }

  long unusedBytes() {
    return unusedBytes;
  }
}
