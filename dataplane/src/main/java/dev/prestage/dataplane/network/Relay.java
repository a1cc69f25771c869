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

  private final SocketChannel guest;
  private final SocketChannel upstream;
  private final Buffers buffers;

  Relay(SocketChannel guest, SocketChannel upstream, Buffers buffers) {
    this.guest = guest;
    this.upstream = upstream;
    this.buffers = buffers;
  }

  /// Relays until both directions have ended; then both ends are closed.
  ///
  /// @param toUpstream a buffer of [Buffers#SMALL_BYTES] with what the guest has said already
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

  private void carry(SocketChannel from, SocketChannel to, ByteBuffer first) {
    ByteBuffer buffer = first;
    boolean ended;
    try {
      do {
        while (buffer.hasRemaining()) {
          to.write(buffer);
        }
        buffer = buffers.next(buffer);
        int count = from.read(buffer.clear());
        buffer.flip();
        ended = count < 0;
      } while (!ended);
      to.shutdownOutput();
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "a connection ends", e);
      reset();
    } catch (RuntimeException | Error e) {
      // The other direction would wait for this one for ever.
      reset();
      throw e;
    } finally {
      buffers.giveBack(buffer);
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
