package dev.prestage.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.EOFException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.BitSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class LinkTest {
  private static final Frame.Hello DATA = new Frame.Hello(FrameCodec.VERSION, 1, 11);
  private static final Frame.Hello CONTROL = new Frame.Hello(FrameCodec.VERSION, 2, 22);

  @TempDir Path folder;
  private Path socket;
  private ServerSocketChannel server;

  @BeforeEach
  void listen() throws IOException {
    socket = folder.resolve("link.sock");
    server = Link.listen(socket);
  }

  @AfterEach
  void close() throws IOException {
    server.close();
  }

  private CompletableFuture<Link> accepted(Frame.Hello hello) {
    return CompletableFuture.supplyAsync(() -> {
      try {
        return Link.accept(server, socket, hello);
      } catch (IOException e) {
        throw new CompletionException(e);
      }
    });
  }

  @Test
  void bothSidesKnowEachOther() throws IOException {
    assertGreeting();
  }

  private void assertGreeting() throws IOException {
    CompletableFuture<Link> other = accepted(DATA);
    try (Link control = Link.connect(socket, CONTROL);
        Link data = other.join()) {
      assertThat(control.peer()).isEqualTo(DATA);
      assertThat(data.peer()).isEqualTo(CONTROL);
    }
  }

  @Test
  void onlyTheOwnerMayOpenTheSocket() throws IOException {
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
        .isEqualTo("rw-------");
  }

  @Test
  void framesOfAllSizesArriveInOrder() throws IOException {
    BitSet many = new BitSet();
    many.set(16 * 1024 * 1024 * 8 - 1);
    CompletableFuture<Link> other = accepted(DATA);
    try (Link control = Link.connect(socket, CONTROL);
        Link data = other.join()) {
      CompletableFuture<Void> sent =
          CompletableFuture.runAsync(() -> {
            try {
              for (int i = 0; i < 3; i++) {
                data.send(new Frame.Cancel(i));
                data.send(new Frame.Resident(i, many));
              }
            } catch (IOException e) {
              throw new CompletionException(e);
            }
          });
      for (int i = 0; i < 3; i++) {
        assertThat(control.receive()).isEqualTo(new Frame.Cancel(i));
        assertThat(control.receive()).isEqualTo(new Frame.Resident(i, many));
      }
      sent.join();
    }
  }

  @Test
  void frameThatIsTooLongIsNotSentAndTheLinkGoesOn() throws IOException {
    BitSet huge = new BitSet();
    huge.set(FrameCodec.MAX_BYTES * 8);
    CompletableFuture<Link> other = accepted(DATA);
    try (Link control = Link.connect(socket, CONTROL);
        Link data = other.join()) {
      assertThatThrownBy(() -> data.send(new Frame.Resident(1, huge)))
          .isInstanceOf(ProtocolException.class)
          .hasMessageContaining("too long");
      data.send(new Frame.Cancel(1));
      assertThat(control.receive()).isEqualTo(new Frame.Cancel(1));
    }
  }

  @Test
  void otherVersionIsRefusedNamingBoth() throws IOException {
    CompletableFuture<Link> other = accepted(new Frame.Hello(7, 1, 11));
    assertThatThrownBy(() -> Link.connect(socket, CONTROL))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("version 7")
        .hasMessageContaining("this process " + FrameCodec.VERSION)
        .hasMessageContaining("pid 1");
    assertThatThrownBy(other::join).hasCauseInstanceOf(ProtocolException.class);
  }

  @Test
  void closedPeerIsTheEnd() throws IOException {
    CompletableFuture<Link> other = accepted(DATA);
    try (Link control = Link.connect(socket, CONTROL)) {
      other.join().close();
      assertThatThrownBy(control::receive).isInstanceOf(EOFException.class);
    }
  }

  @Test
  void strangeGreetingIsRefusedAndTheServerGoesOn() throws IOException {
    for (byte[] greeting :
        new byte[][] {{0x7f, -1, -1, -1}, {0, 0, 0, 0}, {0, 0, 0, 1, 99}, {0, 0, 0, 1, 4}, {}}) {
      CompletableFuture<Link> other = accepted(DATA);
      try (SocketChannel stranger = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
        stranger.write(ByteBuffer.wrap(greeting));
        stranger.shutdownOutput();
        assertThatThrownBy(other::join).hasCauseInstanceOf(IOException.class);
      }
    }
    assertGreeting();
  }

  @Test
  void staleSocketIsReplaced() throws IOException {
    server.close();
    assertThat(socket).exists();
    server = Link.listen(socket);
    assertGreeting();
  }

  /// As root, because only root can become another user.
  @Test
  void socketOfAnotherUserIsRefused() throws IOException {
    assumeTrue("root".equals(System.getProperty("user.name")), "needs root to give a socket away");
    Path theirs = folder.resolve("theirs.sock");
    try (ServerSocketChannel listening = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      listening.bind(UnixDomainSocketAddress.of(theirs));
      Files.setOwner(
          theirs,
          theirs.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByName("nobody"));
      assertThatThrownBy(() -> Link.connect(theirs, CONTROL))
          .isInstanceOf(ProtocolException.class)
          .hasMessageContaining("may not use");
    }
  }
}
