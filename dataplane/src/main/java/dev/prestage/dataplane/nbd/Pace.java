package dev.prestage.dataplane.nbd;

import java.time.Duration;

/// Tells a client that is slow to take its replies from one that is not: a leaky bucket, which
/// fills at the least pace for as long as there are replies to take and empties by what is taken.
///
/// A client that takes nothing is slow after `patience`, one at half of the least pace after twice
/// that, one at the least pace never. What was taken fast earlier buys no time later. Any thread
/// may call; times are nanoseconds of one clock.
final class Pace {
  private static final double NANOS_PER_SECOND = 1e9;

  private final double leastBytesPerNano;
  private final double mostBytesBehind;
  private double bytesBehind;
  private long untilNanos;
  private boolean owing;

  Pace(long leastBytesPerSecond, Duration patience) {
    this.leastBytesPerNano = leastBytesPerSecond / NANOS_PER_SECOND;
    this.mostBytesBehind = leastBytesPerNano * patience.toNanos();
  }

  /// There are replies to take from now on.
  synchronized void owe(long nowNanos) {
    if (!owing) {
      owing = true;
      bytesBehind = 0;
      untilNanos = nowNanos;
    }
  }

  /// All replies have been taken.
  synchronized void settle() {
    owing = false;
  }

  /// The client took so much.
  synchronized void take(int bytes, long nowNanos) {
    if (owing) {
      advance(nowNanos);
      bytesBehind = Math.max(0, bytesBehind - bytes);
    }
  }

  /// Whether the client is slow now.
  synchronized boolean isSlow(long nowNanos) {
    if (!owing) {
      return false;
    }
    advance(nowNanos);
    return bytesBehind >= mostBytesBehind;
  }

  private void advance(long nowNanos) {
    bytesBehind += Math.max(0, nowNanos - untilNanos) * leastBytesPerNano;
    untilNanos = Math.max(untilNanos, nowNanos);
  }
}
