package dev.prestage.benchmarks.network;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;

/// A server that sends each guest many bytes, as fast as it takes them.
final class BulkServer implements AutoCloseable {
  private static final int BUFFER_BYTES = 256 * 1024;

  private final ServerSocketChannel listener = ServerSocketChannel.open();
  private final long bytes;

  /// Serves from now on.
  ///
  /// @param bytes for each guest, a multiple of 256 KiB
  BulkServer(long bytes) throws IOException {
    this.bytes = bytes;
    listener.bind(new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), 0));
    Thread.ofPlatform().daemon().name("bulk-server").start(this::accept);
  }

  String address() throws IOException {
    return "127.0.0.1:" + ((InetSocketAddress) listener.getLocalAddress()).getPort();
  }

  private void accept() {
    try {
      while (true) {
        SocketChannel guest = listener.accept();
        Thread.ofPlatform().daemon().name("bulk-server-connection").start(() -> send(guest));
      }
    } catch (IOException _) {
      // It is closed.
    }
  }

  private void send(SocketChannel guest) {
    try (guest) {
      ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER_BYTES);
      for (long left = bytes; left > 0; left -= BUFFER_BYTES) {
        buffer.clear();
        while (buffer.hasRemaining()) {
          guest.write(buffer);
        }
      }
    } catch (IOException _) {
      // The guest is gone.
    }
  }

  /// Takes all that the server sends, straight or through a relay.
  ///
  /// @return MiB in a second, from the connect to the last byte
  double take(String address) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER_BYTES);
    long began = System.nanoTime();
    long taken = 0;
    try (SocketChannel channel = SocketChannel.open(Line.endpoint(address))) {
      for (int count = 0; count >= 0; count = channel.read(buffer.clear())) {
        taken += count;
      }
    }
    if (taken != bytes) {
      throw new EOFException(taken + " bytes came of " + bytes);
    }
    return bytes / (double) (1 << 20) / ((System.nanoTime() - began) / 1e9);
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }
}
