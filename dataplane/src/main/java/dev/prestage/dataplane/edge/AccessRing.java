package dev.prestage.dataplane.edge;

import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.List;

/// The accesses on their way to the control plane: a bounded queue that many threads fill and one
/// empties. Nothing here blocks or allocates; what does not fit is the caller's to count.
///
/// Each slot carries a sequence number that says whose turn it is (D. Vyukov, "Bounded MPMC
/// queue").
public final class AccessRing {
  /// 65,536 accesses are more than half a second of the fastest traffic that one connection was
  /// seen to make (100,000 reads a second), and 3 MiB.
  public static final int DEFAULT_SLOTS = 1 << 16;

  /// What one access says; see `Frame.AccessRecord` for the meaning.
  @FunctionalInterface
  public interface Sink {
    /// Takes one access.
    void accept(
        int binding,
        int space,
        long offset,
        int amount,
        long timeNanos,
        AccessType type,
        Cause cause,
        boolean waited,
        long latencyNanos);
  }

  private static final VarHandle SEQUENCE = MethodHandles.arrayElementVarHandle(long[].class);
  private static final VarHandle TAIL;

  static {
    try {
      TAIL = MethodHandles.lookup().findVarHandle(AccessRing.class, "tail", long.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private static final int WORDS = 5;
  private static final long WAITED = 1L << 32;
  private static final int TYPE_SHIFT = 33;
  private static final int CAUSE_SHIFT = 36;
  private static final List<AccessType> TYPES = List.of(AccessType.values());
  private static final List<Cause> CAUSES = List.of(Cause.values());

  private final int mask;
  private final long[] sequences;
  private final long[] words;
  private final Doorbell doorbell;

  // Changed through TAIL only.
  @SuppressWarnings("UnusedVariable")
  private volatile long tail;

  private long head;

  /// A ring.
  ///
  /// @param slots how many accesses it holds, a power of two
  /// @param doorbell rung when there is something to fetch
  public AccessRing(int slots, Doorbell doorbell) {
    if (Integer.bitCount(slots) != 1) {
      throw new IllegalArgumentException(slots + " is not a power of two");
    }
    this.mask = slots - 1;
    this.sequences = new long[slots];
    this.words = new long[slots * WORDS];
    this.doorbell = doorbell;
    for (int i = 0; i < slots; i++) {
      sequences[i] = i;
    }
  }

  private static long kind(AccessType type, Cause cause, boolean waited) {
    return ((long) TYPES.indexOf(type) << TYPE_SHIFT)
        | ((long) CAUSES.indexOf(cause) << CAUSE_SHIFT)
        | (waited ? WAITED : 0);
  }

  /// Adds an access; false if the ring is full.
  public boolean offer(
      int binding,
      int space,
      long offset,
      int amount,
      long timeNanos,
      AccessType type,
      Cause cause,
      boolean waited,
      long latencyNanos) {
    long position = (long) TAIL.getVolatile(this);
    while (true) {
      int slot = (int) position & mask;
      long turn = (long) SEQUENCE.getAcquire(sequences, slot) - position;
      if (turn < 0) {
        return false;
      }
      if (turn == 0 && TAIL.compareAndSet(this, position, position + 1)) {
        int at = slot * WORDS;
        words[at] = ((long) binding << 32) | (space & 0xffffffffL);
        words[at + 1] = offset;
        words[at + 2] = (amount & 0xffffffffL) | kind(type, cause, waited);
        words[at + 3] = timeNanos;
        words[at + 4] = latencyNanos;
        SEQUENCE.setVolatile(sequences, slot, position + 1);
        doorbell.ring();
        return true;
      }
      position = (long) TAIL.getVolatile(this);
    }
  }

  /// Hands over up to `limit` accesses in the order in which they came; returns how many. One
  /// thread at a time.
  public int drain(Sink sink, int limit) {
    int count = 0;
    while (count < limit) {
      int slot = (int) head & mask;
      if ((long) SEQUENCE.getAcquire(sequences, slot) != head + 1) {
        break;
      }
      int at = slot * WORDS;
      sink.accept(
          (int) (words[at] >> 32),
          (int) words[at],
          words[at + 1],
          (int) words[at + 2],
          words[at + 3],
          TYPES.get((int) (words[at + 2] >> TYPE_SHIFT) & 7),
          CAUSES.get((int) (words[at + 2] >> CAUSE_SHIFT) & 3),
          (words[at + 2] & WAITED) != 0,
          words[at + 4]);
      SEQUENCE.setRelease(sequences, slot, head + mask + 1);
      head++;
      count++;
    }
    return count;
  }

  /// Whether there is nothing to drain; for the thread that drains.
  public boolean isEmpty() {
    return (long) SEQUENCE.getVolatile(sequences, (int) head & mask) != head + 1;
  }
}
