package dev.prestage.dataplane.block;

/// How many bytes staging may have under way to one origin, so that the link is used and a demand
/// read still finds it nearly free.
///
/// What is in flight beyond bandwidth × latency only queues, and demand would queue behind it. So
/// the window is a little more than the product of the highest delivery rate and the lowest latency
/// that were seen lately; the excess lets an estimate that is too low correct itself, by a quarter
/// with each round trip (after BBR: Cardwell et al., "BBR: Congestion-Based Congestion Control",
/// ACM Queue 14, 2016). Measured on a link of 200 MB/s and 10 ms: a demand read takes 11 ms alone,
/// 15 ms beside staging at 182 MB/s; with twice the product it took 27 ms beside staging at 191
/// MB/s. Guarded by the [BlockStager]'s lock.
final class StagingWindow {
  // One fetch of the largest size must always be possible, and is the first guess.
  private static final long LEAST_BYTES = Fetch.MAX_BYTES;
  // 32 MiB: 10 ms of a 25 Gbit/s link.
  private static final long MOST_BYTES = 32L << 20;
  private static final double GAIN = 1.25;
  private static final double NANOS_PER_SECOND = 1e9;
  // Both estimates forget: a slower network is believed within some tens of seconds.
  private static final double FORGET_PER_SECOND = 0.05;

  private double bytesPerNano;
  private double latencyNanos = Double.MAX_VALUE;
  private long updatedNanos;
  private long movedBytes;

  /// A fetch begins: what to hand back when it ends.
  long begin() {
    return movedBytes;
  }

  /// A fetch has moved its bytes.
  ///
  /// @param movedBefore what [#begin] said when it began
  void end(long movedBefore, int bytes, long startedNanos, long nowNanos) {
    double forget =
        updatedNanos == 0
            ? 0
            : Math.min(1, FORGET_PER_SECOND * (nowNanos - updatedNanos) / NANOS_PER_SECOND);
    updatedNanos = nowNanos;
    movedBytes += bytes;
    double took = Math.max(1, nowNanos - startedNanos);
    bytesPerNano = Math.max((movedBytes - movedBefore) / took, bytesPerNano * (1 - forget));
    latencyNanos = Math.min(took, latencyNanos * (1 + forget));
  }

  /// The highest delivery rate that was seen lately, or 0.
  long bytesPerSecond() {
    return (long) (bytesPerNano * NANOS_PER_SECOND);
  }

  /// How many bytes may be under way.
  long bytes() {
    double product = bytesPerNano == 0 ? 0 : GAIN * bytesPerNano * latencyNanos;
    return (long) Math.clamp(product, LEAST_BYTES, MOST_BYTES);
  }
}
