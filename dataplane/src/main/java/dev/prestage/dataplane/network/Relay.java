package dev.prestage.dataplane.network;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;

/// Carries the bytes of one connection both ways until both directions have ended.
///
/// The end of one direction is passed on as such, so that an end which has said all may still
/// listen. A reset of one end resets the other. Each direction has one buffer and reads on only
/// when that is written, so an end that does not read slows down the other one.
final class Relay {
  private static final Logger LOG = System.getLogger(Relay.class.getName());

  /// Two buffers for each connection: 10,000 connections that say little hold 40 MiB.
  static final int BUFFER_BYTES = 2 * 1024;

  /// A direction that once filled its buffer gets one eight times as large, twice, so that a round
  /// of read and write, some 100 µs, carries more: 100 connections that are all busy one way hold
  /// 13 MiB.
  private static final int BULK_BYTES = 128 * 1024;

  private static final int GROWTH = 8;

  private final SocketChannel guest;
  private final SocketChannel upstream;

  Relay(SocketChannel guest, SocketChannel upstream) {
    this.guest = guest;
    this.upstream = upstream;
  }

  /// Relays until both directions have ended; then both ends are closed.
  ///
  /// @param toUpstream a buffer of [#BUFFER_BYTES] with what the guest has said already
  /// @param toGuest the same of the upstream
  void run(ByteBuffer toUpstream, ByteBuffer toGuest) {
    Thread up = Thread.ofVirtual().name("relay-up").start(() -> carry(guest, upstream, toUpstream));
    carry(upstream, guest, toGuest);
    try {
      up.join();
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      reset();
    }
    close(guest);
    close(upstream);
  }

  /// A buffer with nothing in it.
  static ByteBuffer emptyBuffer() {
    return ByteBuffer.allocate(BUFFER_BYTES).flip();
  }

  private void carry(SocketChannel from, SocketChannel to, ByteBuffer first) {
    ByteBuffer buffer = first;
    boolean ended;
    try {
      do {
        while (buffer.hasRemaining()) {
          to.write(buffer);
        }
        if (buffer.limit() == buffer.capacity() && buffer.capacity() < BULK_BYTES) {
          buffer = ByteBuffer.allocate(Math.min(BULK_BYTES, GROWTH * buffer.capacity()));
        }
        int count = from.read(buffer.clear());
        buffer.flip();
        ended = count < 0;
      } while (!ended);
      to.shutdownOutput();
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "a connection ends", e);
      reset();
    }
  }

  /// Ends both ends at once.
  void reset() {
    reset(guest);
    reset(upstream);
  }

  /// Ends a connection as a crash of its other end would.
  static void reset(SocketChannel channel) {
    try {
      channel.setOption(StandardSocketOptions.SO_LINGER, 0);
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "resetting a connection that is gone", e);
    }
    close(channel);
  }

  static void close(SocketChannel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "closing a connection", e);
    }
  }
}
