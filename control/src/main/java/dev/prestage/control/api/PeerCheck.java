package dev.prestage.control.api;

import io.helidon.common.socket.SocketOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.UserPrincipal;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import jdk.net.ExtendedSocketOptions;

/// Lets only certain users connect to the unix socket, by the credentials that the kernel vouches
/// for (SO_PEERCRED). The socket's mode says the same; this holds also while the mode is not set
/// yet, and when somebody changes it.
///
/// Helidon has no hook of that name, but it configures each accepted connection through its
/// [SocketOptions] before it reads from it, and closes the connection when that throws. Its own
/// implementation is built, not meant to be extended; so this one answers every question from a
/// built one.
final class PeerCheck extends OtherOptions {
  private final Set<UserPrincipal> allowed;
  private final byte[] answer;
  private final LongAdder refused = new LongAdder();

  PeerCheck(Set<UserPrincipal> allowed) {
    super(SocketOptions.create());
    this.allowed = allowed;
    Problem problem = Problem.peerRefused();
    byte[] body = Json.write(problem);
    this.answer =
        ("HTTP/1.1 403 Forbidden\r\nContent-Type: "
                + Problem.MEDIA_TYPE
                + "\r\nContent-Length: "
                + body.length
                + "\r\nConnection: close\r\n\r\n"
                + new String(body, StandardCharsets.UTF_8))
            .getBytes(StandardCharsets.UTF_8);
  }

  /// Root and the user that this process runs as.
  static Set<UserPrincipal> allowed() throws IOException {
    Set<UserPrincipal> users = new HashSet<>();
    // A file of this process belongs to its effective user, whatever names the host knows.
    users.add(Files.getOwner(Path.of("/proc/self")));
    // By number: the JDK takes a name that is a number and is not in the user database as that.
    users.add(
        Path.of("/").getFileSystem().getUserPrincipalLookupService().lookupPrincipalByName("0"));
    return Set.copyOf(users);
  }

  /// How many connections were refused.
  long refused() {
    return refused.sum();
  }

  @Override
  public void configureSocket(SocketChannel socket) {
    try {
      UserPrincipal user = socket.getOption(ExtendedSocketOptions.SO_PEERCRED).user();
      if (allowed.contains(user)) {
        return;
      }
      refused.increment();
      // Some 300 bytes into the empty buffer of a fresh connection: this never waits. The answer is
      // a courtesy; what refuses is the exception.
      socket.configureBlocking(false);
      socket.write(ByteBuffer.wrap(answer));
      throw new IOException("user " + user.getName() + " may not use the socket");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void configureSocket(Socket socket) {
    throw new UnsupportedOperationException("not a unix socket");
  }
}
