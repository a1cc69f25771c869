package dev.prestage.dataplane.network;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;

/// The buffers of all relays. Each direction of a connection has a small one; a larger one is lent
/// as long as those that grew are within a budget together.
final class Buffers {
  /// Two for each connection: 10,000 connections that say little hold 40 MiB.
  static final int SMALL_BYTES = 2 * 1024;

  /// A direction that once filled its buffer gets one eight times as large, twice, so that a round
  /// of read and write, some 100 µs, carries more: 100 connections that are all busy one way hold
  /// 13 MiB.
  static final int BULK_BYTES = 128 * 1024;

  /// What was grown by may be this much: 384 directions at full size. The others go on with what
  /// they have, slower and not wrong.
  static final long GROWN_BYTES = 48L << 20;

  private static final int GROWTH = 8;

  private final AtomicLong grownBytes = new AtomicLong();

  /// A small buffer with nothing in it.
  static ByteBuffer empty() {
    return ByteBuffer.allocate(SMALL_BYTES).flip();
  }

  /// A buffer to read into after this one, which is written: a larger one if this one was full and
  /// the budget allows it, else the same.
  ByteBuffer next(ByteBuffer written) {
    int before = written.capacity();
    int after = Math.min(BULK_BYTES, GROWTH * before);
    if (written.limit() < before || after <= before) {
      return written;
    }
    int more = after - before;
    if (grownBytes.addAndGet(more) > GROWN_BYTES) {
      grownBytes.addAndGet(-more);
      return written;
    }
    try {
      return ByteBuffer.allocate(after);
    } catch (OutOfMemoryError _) {
      grownBytes.addAndGet(-more);
      return written;
    }
  }

  /// The buffer is needed no more.
  void giveBack(ByteBuffer buffer) {
    grownBytes.addAndGet(SMALL_BYTES - buffer.capacity());
  }

  /// By how much buffers that are in use have grown.
  long grownBytes() {
    return grownBytes.get();
  }
}
