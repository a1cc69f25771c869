package dev.prestage.dataplane.edge;

import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/// Wakes the one thread that carries news to the control plane. Ringing costs a volatile read while
/// that thread is awake, and it is awake while there is traffic.
public final class Doorbell {
  private volatile @Nullable Thread sleeper;

  /// There is news. Call after it has become visible to the other thread.
  public void ring() {
    Thread thread = sleeper;
    if (thread != null) {
      sleeper = null;
      LockSupport.unpark(thread);
    }
  }

  /// Sleeps until somebody rings, or the time is over, or at once if there is news already.
  public void sleep(long nanos, BooleanSupplier news) {
    sleeper = Thread.currentThread();
    if (!news.getAsBoolean()) {
      LockSupport.parkNanos(this, nanos);
    }
    sleeper = null;
  }
}
