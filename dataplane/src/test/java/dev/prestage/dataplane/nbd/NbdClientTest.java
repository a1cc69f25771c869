package dev.prestage.dataplane.nbd;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// The client against a server that ends where it hurts.
@Timeout(20)
final class NbdClientTest {
  private static final int OPTION_HEADER = 16;
  private static final int REQUEST = 28;

  private @TempDir Path folder;
  private ServerSocketChannel server;

  @BeforeEach
  void listen() throws IOException {
    server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    server.bind(UnixDomainSocketAddress.of(folder.resolve("s")));
  }

  @AfterEach
  void close() throws IOException {
    server.close();
  }

  /// Serves one client up to its first read, answers so many bytes of that read, and hangs up.
  private void serve(int answered) {
    try (SocketChannel client = server.accept()) {
      send(
          client,
          ByteBuffer.allocate(18).putLong(Nbd.MAGIC).putLong(Nbd.OPTION_MAGIC).putShort((short) 3));
      ByteBuffer hello = receive(client, 4 + OPTION_HEADER);
      receive(client, hello.getInt(4 + 12));
      ByteBuffer info = ByteBuffer.allocate(20 + 12);
      info.putLong(Nbd.OPTION_REPLY_MAGIC).putInt(Nbd.OPTION_GO).putInt(Nbd.REPLY_INFO).putInt(12);
      send(client, info.putShort((short) Nbd.INFO_EXPORT).putLong(1 << 20).putShort((short) 0));
      ByteBuffer ack = ByteBuffer.allocate(20);
      ack.putLong(Nbd.OPTION_REPLY_MAGIC).putInt(Nbd.OPTION_GO).putInt(Nbd.REPLY_ACK).putInt(0);
      send(client, ack);
      long cookie = receive(client, REQUEST).getLong(8);
      ByteBuffer reply = ByteBuffer.allocate(16 + 4096);
      reply.putInt(Nbd.SIMPLE_REPLY_MAGIC).putInt(0).putLong(cookie).position(answered);
      send(client, reply);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static void send(SocketChannel to, ByteBuffer bytes) throws IOException {
    bytes.flip();
    while (bytes.hasRemaining()) {
      to.write(bytes);
    }
  }

  private static ByteBuffer receive(SocketChannel from, int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(length);
    while (bytes.hasRemaining() && from.read(bytes) >= 0) {
      // until it is full
    }
    return bytes.flip();
  }

  @Test
  void aReadWhoseConnectionEndsWithinItsAnswerIsLost() throws Exception {
    for (int answered : new int[] {0, 7, 16, 17, 2000}) {
      Thread serving = Thread.ofPlatform().start(() -> serve(answered));
      try (NbdClient client = NbdClient.connect(server.getLocalAddress(), "disk")) {
        assertThatThrownBy(() -> client.read(0, 4096))
            .as("after %d bytes", answered)
            .isInstanceOf(IOException.class);
      }
      serving.join();
    }
  }
}
