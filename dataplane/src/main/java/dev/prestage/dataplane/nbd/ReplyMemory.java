package dev.prestage.dataplane.nbd;

import dev.prestage.engine.time.Clock;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/// The memory that the late replies of all connections share.
///
/// A VM holds no more than its share. A quarter is kept for VMs that hold next to nothing, so the
/// small reads of most guests are served whatever the others do. Larger reads get their memory in
/// the order in which they ask; meanwhile clients that take their replies slowly are turned out.
final class ReplyMemory {
  private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(250);

  // Of 96 MiB: 24 MiB are for VMs that hold at most 1 MiB each, the largest request of Linux.
  private static final int RESERVE = 4;
  private static final int MODEST = 96;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition freed = lock.newCondition();
  private final Clock clock;
  private final long bytes;
  private final long bytesPerVm;
  private final Runnable turnOutSlowest;
  private final Map<String, Long> heldByVm = new HashMap<>();
  private final Deque<Claim> waiting = new ArrayDeque<>();
  private long used;
  private long lookedNanos;

  /// How a claim ended.
  enum Answer {
    TAKEN,
    /// The connection ended; nothing is taken.
    GONE,
    /// The deadline passed; nothing is taken.
    TOO_LATE
  }

  /// A read that needs memory. Compared by identity: two reads may look the same.
  private static final class Claim {
    final String vm;
    final int bytes;

    Claim(String vm, int bytes) {
      this.vm = vm;
      this.bytes = bytes;
    }
  }

  /// @param bytes how much there is
  /// @param bytesPerVm how much of it one VM may hold
  /// @param turnOutSlowest ends the connection of a client that is slow, if there is one; called
  ///   now and then while somebody waits
  ReplyMemory(Clock clock, long bytes, long bytesPerVm, Runnable turnOutSlowest) {
    this.clock = clock;
    this.bytes = bytes;
    this.bytesPerVm = bytesPerVm;
    this.turnOutSlowest = turnOutSlowest;
  }

  /// Takes memory for a VM, when there is enough of it. One request gets it even if it is larger
  /// than all.
  ///
  /// @param deadlineNanos until when to wait
  /// @param gone whether the connection has ended
  Answer take(String vm, int count, long deadlineNanos, BooleanSupplier gone) {
    Claim claim = new Claim(vm, count);
    lock.lock();
    try {
      waiting.addLast(claim);
      while (true) {
        if (gone.getAsBoolean()) {
          return Answer.GONE;
        }
        if (mayTake(claim)) {
          used += count;
          heldByVm.merge(vm, (long) count, Long::sum);
          return Answer.TAKEN;
        }
        long now = clock.nanos();
        if (now >= deadlineNanos) {
          return Answer.TOO_LATE;
        }
        if (now - lookedNanos >= LOOK_NANOS) {
          lookedNanos = now;
          lookOutside();
        } else {
          // Waking early is fine: everything is looked at again.
          long _ = freed.awaitNanos(Math.min(LOOK_NANOS, deadlineNanos - now));
        }
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      return Answer.GONE;
    } finally {
      waiting.remove(claim);
      // Whoever came behind this claim may go ahead.
      freed.signalAll();
      lock.unlock();
    }
  }

  /// Turning a client out gives memory back, which takes the lock.
  private void lookOutside() {
    lock.unlock();
    try {
      turnOutSlowest.run();
    } finally {
      lock.lock();
    }
  }

  private boolean mayTake(Claim claim) {
    if (used == 0) {
      return true;
    }
    if (isAboveShare(claim)) {
      return false;
    }
    if (isModest(claim)) {
      return used + claim.bytes <= bytes;
    }
    return used + claim.bytes <= bytes - bytes / RESERVE && isFirst(claim);
  }

  private boolean isFirst(Claim claim) {
    for (Claim earlier : waiting) {
      if (earlier == claim) {
        return true;
      }
      if (!isAboveShare(earlier) && !isModest(earlier)) {
        return false;
      }
    }
    return true;
  }

  private boolean isAboveShare(Claim claim) {
    long held = heldByVm.getOrDefault(claim.vm, 0L);
    return held > 0 && held + claim.bytes > bytesPerVm;
  }

  private boolean isModest(Claim claim) {
    return heldByVm.getOrDefault(claim.vm, 0L) + claim.bytes <= bytes / MODEST;
  }

  void giveBack(String vm, int count) {
    lock.lock();
    try {
      used -= count;
      heldByVm.computeIfPresent(vm, (_, held) -> held == count ? null : held - count);
      freed.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
