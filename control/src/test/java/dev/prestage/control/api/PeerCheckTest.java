package dev.prestage.control.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.client.ApiException;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class PeerCheckTest {
  @TempDir Path folder;

  @Test
  void whoIsNotAllowedIsToldSoAndRefused() throws Exception {
    PeerCheck nobody = new PeerCheck(Set.of());
    Path socket = folder.resolve("s");
    try (ServerSocketChannel server = listen(socket)) {
      Thread acceptor =
          Thread.ofVirtual()
              .start(() -> {
                try (SocketChannel channel = server.accept()) {
                  assertThatThrownBy(() -> nobody.configureSocket(channel))
                      .isInstanceOf(UncheckedIOException.class);
                } catch (IOException e) {
                  throw new AssertionError(e);
                }
              });
      assertThatThrownBy(() -> PrestageClient.onSocket(socket).get("/v1/vms"))
          .isInstanceOfSatisfying(
              ApiException.class,
              e -> {
                assertThat(e.status()).isEqualTo(403);
                assertThat(e.type()).isEqualTo("urn:prestage:peer-refused");
              });
      acceptor.join();
      assertThat(nobody.refused()).isEqualTo(1);
    }
  }

  @Test
  void thisUserIsAllowed() throws IOException {
    PeerCheck check = new PeerCheck(PeerCheck.allowed());
    Path socket = folder.resolve("s");
    try (ServerSocketChannel server = listen(socket);
        SocketChannel _ = SocketChannel.open(UnixDomainSocketAddress.of(socket));
        SocketChannel accepted = server.accept()) {
      assertThatCode(() -> check.configureSocket(accepted)).doesNotThrowAnyException();
      assertThat(accepted.isBlocking()).isTrue();
      assertThat(check.refused()).isZero();
    }
  }

  private static ServerSocketChannel listen(Path socket) throws IOException {
    ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    server.bind(UnixDomainSocketAddress.of(socket));
    return server;
  }
}
