package dev.prestage.control.aggregate;

import org.jspecify.annotations.Nullable;

/// How something is used: how often, how long, how much of it waited.
///
/// A burst is a series of touches with no pause longer than the burst gap between two; the time in
/// use is the sum of the bursts, each from its first to its last touch.
final class Uses {
  final LogHistogram latency;

  /// Null until there are two touches: most units are touched once.
  private @Nullable LogHistogram gaps;

  long touches;
  long waited;
  long bursts;
  long firstNanos = Long.MAX_VALUE;
  long lastNanos = Long.MIN_VALUE;
  long inUseNanos;

  Uses() {
    this(new LogHistogram());
  }

  private Uses(LogHistogram latency) {
    this.latency = latency;
  }

  /// The pauses between touches.
  LogHistogram gaps() {
    LogHistogram all = gaps;
    if (all == null) {
      all = new LogHistogram();
      gaps = all;
    }
    return all;
  }

  void touch(long timeNanos, boolean waits, long latencyNanos, long burstGapNanos) {
    if (touches == 0) {
      bursts = 1;
      firstNanos = timeNanos;
      lastNanos = timeNanos;
    } else {
      // One that is told late lies between others.
      long gap = Math.max(0, timeNanos - lastNanos);
      gaps().add(gap);
      if (gap > burstGapNanos) {
        bursts++;
      } else {
        inUseNanos += gap;
      }
      firstNanos = Math.min(firstNanos, timeNanos);
      lastNanos = Math.max(lastNanos, timeNanos);
    }
    touches++;
    waited += waits ? 1 : 0;
    latency.add(latencyNanos);
  }

  /// Adds what others did, or the same in another hour.
  void add(Uses other) {
    latency.add(other.latency);
    if (other.gaps != null) {
      gaps().add(other.gaps);
    }
    touches += other.touches;
    waited += other.waited;
    bursts += other.bursts;
    firstNanos = Math.min(firstNanos, other.firstNanos);
    lastNanos = Math.max(lastNanos, other.lastNanos);
    inUseNanos += other.inUseNanos;
  }

  void write(Packed.Writer out, long startNanos) {
    out.number(touches);
    out.number(waited);
    out.number(bursts);
    out.number(firstNanos - startNanos);
    out.number(lastNanos - firstNanos);
    out.number(inUseNanos);
    latency.write(out);
    gaps().write(out);
  }

  static Uses read(Packed.Reader in, long startNanos) {
    long touches = in.positive();
    long waited = in.positive();
    long bursts = in.positive();
    long firstNanos = Math.addExact(startNanos, in.number());
    long lastNanos = Math.addExact(firstNanos, in.positive());
    long inUseNanos = in.positive();
    Uses uses = new Uses(LogHistogram.read(in));
    uses.gaps = LogHistogram.read(in);
    uses.touches = touches;
    uses.waited = waited;
    uses.bursts = bursts;
    uses.firstNanos = firstNanos;
    uses.lastNanos = lastNanos;
    uses.inUseNanos = inUseNanos;
    return uses;
  }
}
