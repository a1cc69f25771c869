package dev.prestage.dataplane.nbd;

import dev.prestage.dataplane.block.IoProblem;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;

/// Unix sockets with messages that say what to do.
public final class UnixSockets {
  // sun_path has 108 bytes with its final zero.
  private static final int LONGEST_PATH_BYTES = 107;

  // A host's VMs may all come back at once; whoever does not fit is refused by the kernel. What is
  // beyond net.core.somaxconn counts as that.
  private static final int WAITING_CLIENTS = 1024;

  private UnixSockets() {}

  /// Listens on a path. A socket that a dead process left behind is replaced.
  ///
  /// @param permissions of the socket, such as `rw-------`
  /// @throws IOException if the path is taken by a live server or by something else, or is too long
  public static ServerSocketChannel listen(Path path, String permissions) throws IOException {
    prepare(path);
    ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      server.bind(UnixDomainSocketAddress.of(path), WAITING_CLIENTS);
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(permissions));
      return server;
    } catch (IOException e) {
      server.close();
      throw IoProblem.in("cannot listen on " + path, e);
    }
  }

  /// Checks that a path can be listened on, creates its directory, and removes a socket to which
  /// nobody listens any more.
  public static void prepare(Path path) throws IOException {
    int length = path.toString().getBytes(StandardCharsets.UTF_8).length;
    if (length > LONGEST_PATH_BYTES) {
      throw new IOException(
          "the socket path "
              + path
              + " has "
              + length
              + " bytes; unix sockets allow "
              + LONGEST_PATH_BYTES
              + ": choose a shorter one");
    }
    Path parent = path.getParent();
    if (parent != null) {
      Files.createDirectories(parent);
    }
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (!Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
        .isOther()) {
      throw new IOException(path + " exists and is not a socket: remove it or choose another path");
    }
    if (isLive(path)) {
      throw new IOException(
          "the socket "
              + path
              + " is in use by a running server: stop that one or choose another path");
    }
    Files.delete(path);
  }

  private static boolean isLive(Path path) {
    try (SocketChannel _ = SocketChannel.open(UnixDomainSocketAddress.of(path))) {
      return true;
    } catch (IOException _) {
      return false;
    }
  }
}
