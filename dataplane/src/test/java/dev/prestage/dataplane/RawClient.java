package dev.prestage.dataplane;

import java.io.EOFException;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/// A client that says whatever it is told to, for what well-behaved clients never say.
final class RawClient implements AutoCloseable {
  static final long OPTION_MAGIC = 0x49484156454f5054L;
  static final int REQUEST_MAGIC = 0x25609513;

  private final SocketChannel channel;

  /// Connects and reads the greeting.
  RawClient(Path socket) throws IOException {
    channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
    receive(18);
  }

  /// An option's reply.
  record Reply(int option, int kind, String text) {}

  RawClient flags(int flags) throws IOException {
    send(ByteBuffer.allocate(4).putInt(flags));
    return this;
  }

  void option(int option, byte[] data) throws IOException {
    option(option, data.length, data);
  }

  void option(int option, int length, byte[] data) throws IOException {
    send(
        ByteBuffer.allocate(16 + data.length)
            .putLong(OPTION_MAGIC)
            .putInt(option)
            .putInt(length)
            .put(data));
  }

  Reply reply() throws IOException {
    ByteBuffer head = receive(20);
    head.getLong();
    int option = head.getInt();
    int kind = head.getInt();
    return new Reply(
        option, kind, StandardCharsets.UTF_8.decode(receive(head.getInt())).toString());
  }

  void request(int flags, int command, long cookie, long offset, int length) throws IOException {
    send(
        ByteBuffer.allocate(28)
            .putInt(REQUEST_MAGIC)
            .putShort((short) flags)
            .putShort((short) command)
            .putLong(cookie)
            .putLong(offset)
            .putInt(length));
  }

  void send(ByteBuffer bytes) throws IOException {
    bytes.flip();
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  ByteBuffer receive(int count) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(count);
    while (bytes.hasRemaining()) {
      if (channel.read(bytes) < 0) {
        throw new EOFException();
      }
    }
    return bytes.flip();
  }

  /// Whether the server hangs up.
  boolean isHungUp() {
    try {
      receive(1);
      return false;
    } catch (IOException _) {
      return true;
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
