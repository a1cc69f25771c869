package dev.prestage.dataplane.nbd;

import dev.prestage.engine.time.Clock;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/// The bytes of one connection: what the client sent comes through one buffer, what is answered
/// goes through another.
///
/// The connection's own thread uses everything; [#send] is for a second thread, too, and what one
/// of them writes is never torn apart by the other.
final class Wire {
  // Holds over 2,000 requests.
  private static final int IN_BYTES = 64 * 1024;
  private static final int FIRST_OUT_BYTES = 128 * 1024;

  private final SocketChannel channel;
  private final Clock clock;
  private final int largestReplyBytes;
  private final ByteBuffer in = ByteBuffer.allocateDirect(IN_BYTES).flip();
  // Fair: replies that waited must not starve behind a stream of those that did not have to.
  private final ReentrantLock writing = new ReentrantLock(true);
  private ByteBuffer out = ByteBuffer.allocateDirect(FIRST_OUT_BYTES);
  private final Pace pace;
  private final AtomicLong writingNanos = new AtomicLong();

  /// @param pace is told of what the client takes
  /// @param largestReplyBytes what the buffer for replies grows to once the first room is too small
  Wire(SocketChannel channel, Clock clock, Pace pace, int largestReplyBytes) {
    this.channel = channel;
    this.clock = clock;
    this.pace = pace;
    this.largestReplyBytes = largestReplyBytes;
  }

  /// How long writing has taken in all, up to the last write that returned: time that the client
  /// let the server wait.
  long writingNanos() {
    return writingNanos.get();
  }

  /// What came and was not taken yet.
  ByteBuffer in() {
    return in;
  }

  /// Where replies are put, with room for so many bytes; what lies there is sent first if it has to
  /// be.
  ByteBuffer out(int roomBytes) throws IOException {
    if (out.remaining() < roomBytes) {
      flush();
      if (out.capacity() < roomBytes) {
        out = ByteBuffer.allocateDirect(largestReplyBytes);
      }
    }
    return out;
  }

  /// Sends what a buffer holds and then a part of an array, through that buffer.
  void send(ByteBuffer buffer, byte[] bytes, int from, int to) throws IOException {
    int sent = from;
    writing.lock();
    try {
      do {
        int count = Math.min(buffer.remaining(), to - sent);
        writeAll(buffer.put(bytes, sent, count).flip());
        buffer.clear();
        sent += count;
      } while (sent < to);
    } finally {
      writing.unlock();
    }
  }

  /// Sends what lies in the buffer for replies.
  void flush() throws IOException {
    if (out.position() > 0) {
      writing.lock();
      try {
        writeAll(out.flip());
      } finally {
        writing.unlock();
        out.clear();
      }
    }
  }

  private void writeAll(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      long began = clock.nanos();
      int count = channel.write(bytes);
      long now = clock.nanos();
      writingNanos.addAndGet(now - began);
      pace.take(count, now);
    }
  }

  /// Waits until so many bytes lie in the buffer.
  void need(int bytes) throws IOException {
    if (in.remaining() >= bytes) {
      return;
    }
    in.compact();
    try {
      while (in.position() < bytes) {
        if (channel.read(in) < 0) {
          throw new EOFException();
        }
      }
    } finally {
      in.flip();
    }
  }

  /// Takes as many bytes as the array has.
  void take(byte[] into) throws IOException {
    for (int at = 0; at < into.length; ) {
      need(1);
      int count = Math.min(in.remaining(), into.length - at);
      in.get(into, at, count);
      at += count;
    }
  }

  /// Passes over so many bytes.
  void skip(int bytes) throws IOException {
    for (int left = bytes; left > 0; ) {
      flush();
      need(1);
      int count = Math.min(in.remaining(), left);
      in.position(in.position() + count);
      left -= count;
    }
  }
}
