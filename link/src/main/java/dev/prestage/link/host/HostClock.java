package dev.prestage.link.host;

import dev.prestage.engine.time.Clock;
import java.time.Instant;

/// The host's time: the monotonic clock, tied to the wall clock once, when the process starts. A
/// step of the wall clock therefore moves nothing; it is seen only after the next start.
public final class HostClock implements Clock {
  private final long offsetNanos;

  public HostClock() {
    Instant now = Instant.now();
    this.offsetNanos = now.getEpochSecond() * 1_000_000_000 + now.getNano() - System.nanoTime();
  }

  @Override
  public long nanos() {
    return System.nanoTime() + offsetNanos;
  }
}
