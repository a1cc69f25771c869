package dev.prestage.dataplane.nbd;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/// The memory that the late replies of all connections share. Whoever needs more than there is
/// waits for others to give theirs back; those who do not take their replies are turned out
/// meanwhile, so that nobody waits for them.
final class ReplyMemory {
  private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(250);

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition freed = lock.newCondition();
  private final long bytes;
  private final Runnable turnOutStuck;
  private long used;

  /// @param bytes how much there is
  /// @param turnOutStuck ends the connections that hold memory and take nothing; called now and
  ///   then while somebody waits
  ReplyMemory(long bytes, Runnable turnOutStuck) {
    this.bytes = bytes;
    this.turnOutStuck = turnOutStuck;
  }

  /// Takes memory, when there is enough of it. One request gets it even if it is larger than all.
  ///
  /// @return false if `gone` came true first; nothing is taken then
  boolean take(int count, BooleanSupplier gone) {
    while (!gone.getAsBoolean()) {
      lock.lock();
      try {
        if (used == 0 || used + count <= bytes) {
          used += count;
          return true;
        }
        // Waking early is fine: everything is looked at again.
        long _ = freed.awaitNanos(LOOK_NANOS);
      } catch (InterruptedException _) {
        Thread.currentThread().interrupt();
        return false;
      } finally {
        lock.unlock();
      }
      turnOutStuck.run();
    }
    return false;
  }

  void giveBack(int count) {
    lock.lock();
    try {
      used -= count;
      freed.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
