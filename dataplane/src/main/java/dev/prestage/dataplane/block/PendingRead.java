package dev.prestage.dataplane.block;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/// A read that waits for its origin. Its extents come from several threads in any order; whichever
/// brings the last one, or gives up, finishes it.
public abstract class PendingRead {
  /// How a read ended: with all its bytes, or with one line that says why not.
  private record End(@Nullable String failure) {}

  private static final End GOOD = new End(null);

  private final long offset;
  private final byte[] bytes;
  private final long arrivedNanos;
  private final AtomicInteger missing = new AtomicInteger();
  private final AtomicReference<@Nullable End> end = new AtomicReference<>();
  private @Nullable Disk disk;
  private volatile boolean waiting;
  private volatile String lastError = "";

  /// A read of bytes that lie within the image.
  ///
  /// @param offset of the first byte
  /// @param length how many, at least 1
  /// @param arrivedNanos when it was asked for
  protected PendingRead(long offset, int length, long arrivedNanos) {
    this.offset = offset;
    this.bytes = new byte[length];
    this.arrivedNanos = arrivedNanos;
  }

  /// Called once, by any thread: the bytes are there, or [#failure] says why not. Must not block.
  protected abstract void finished();

  /// Offset of the first byte.
  public final long offset() {
    return offset;
  }

  /// How many bytes.
  public final int length() {
    return bytes.length;
  }

  /// When it was asked for.
  public final long arrivedNanos() {
    return arrivedNanos;
  }

  /// What was read; complete once it has finished without a failure.
  public final byte[] bytes() {
    return bytes;
  }

  /// Why there are no bytes, or null.
  public final @Nullable String failure() {
    End reached = end.get();
    return reached == null ? null : reached.failure();
  }

  /// Whether it reads from this space.
  final boolean isOf(BlockSpace space) {
    return disk != null && disk.space() == space;
  }

  /// The VM that asked, or empty before it began.
  final String vm() {
    if (disk == null) {
      return "";
    }
    int slash = disk.name().indexOf('/');
    return slash < 0 ? disk.name() : disk.name().substring(0, slash);
  }

  /// What its origin said last; silence takes nothing back.
  final void sawError(String why) {
    if (!why.isEmpty()) {
      lastError = why;
    }
  }

  /// What its origin said last, or empty if it only was silent.
  final String lastError() {
    return lastError;
  }

  final boolean isDone() {
    return end.get() != null;
  }

  final void begin(Disk by, int extents) {
    disk = by;
    missing.set(extents);
  }

  /// It has to wait for an origin. Called before it can finish.
  final void waits() {
    if (!waiting && disk != null) {
      waiting = true;
      disk.waits(this);
    }
  }

  final boolean isWaiting() {
    return waiting;
  }

  /// Copies the part of an extent that was asked for.
  final void put(long extentOffset, ByteBuffer extent) {
    long from = Math.max(offset, extentOffset);
    long to = Math.min(offset + bytes.length, extentOffset + extent.remaining());
    extent.get(
        extent.position() + (int) (from - extentOffset),
        bytes,
        (int) (from - offset),
        (int) (to - from));
  }

  /// The part of the destination that an extent fills.
  final ByteBuffer part(int extent) {
    long start = Math.max(offset, (long) extent * TierFile.EXTENT_BYTES);
    long stop = Math.min(offset + bytes.length, (extent + 1L) * TierFile.EXTENT_BYTES);
    return ByteBuffer.wrap(bytes, (int) (start - offset), (int) (stop - start));
  }

  /// Some extents have been copied; true if they were the last ones.
  final boolean arrived(int extents) {
    return missing.addAndGet(-extents) == 0 && finish(GOOD);
  }

  /// Gives up; true if it had not finished before.
  final boolean fail(String why) {
    return finish(new End(why));
  }

  private boolean finish(End how) {
    if (!end.compareAndSet(null, how)) {
      return false;
    }
    if (disk != null) {
      disk.answered(this);
    }
    finished();
    return true;
  }
}
