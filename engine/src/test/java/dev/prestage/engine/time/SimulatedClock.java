package dev.prestage.engine.time;

import java.time.Duration;

/// A clock that a test moves.
public final class SimulatedClock implements Clock {
  private long nanos = 1_800_000_000_000_000_000L;

  @Override
  public long nanos() {
    return nanos;
  }

  public void advance(Duration by) {
    nanos += by.toNanos();
  }

  public void advanceTo(long time) {
    nanos = Math.max(nanos, time);
  }
}
