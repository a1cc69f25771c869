package dev.prestage.link.host;

import java.io.IOException;
import java.net.ConnectException;
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

/// The files of unix sockets: makes room for one before a server binds, and guards it afterwards.
public final class UnixSockets {
  /// Only for the user that this process runs as.
  public static final String OWNER_ONLY = "rw-------";

  /// The kernel's `sun_path` has 108 bytes, the last of them a zero.
  private static final int MAX_PATH_BYTES = 107;

  // A host's VMs may all come back at once; whoever does not fit is refused by the kernel. What is
  // beyond net.core.somaxconn counts as that.
  private static final int WAITING_CLIENTS = 1024;

  private UnixSockets() {}

  /// Listens on a path, after [#prepare].
  ///
  /// @param permissions of the socket, such as `rw-------`
  /// @throws IOException one line for the operator
  public static ServerSocketChannel listen(Path path, String permissions) throws IOException {
    prepare(path);
    ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      server.bind(UnixDomainSocketAddress.of(path), WAITING_CLIENTS);
      guard(path, permissions);
      return server;
    } catch (IOException e) {
      server.close();
      throw IoProblem.in("cannot listen on " + path, e);
    }
  }

  /// Checks that a path can be listened on, makes its folder, and removes a socket to which nobody
  /// listens any more.
  ///
  /// @throws IOException one line for the operator, when the path is too long, or a live server or
  ///   something else is there
  public static void prepare(Path path) throws IOException {
    int length = path.toString().getBytes(StandardCharsets.UTF_8).length;
    if (length > MAX_PATH_BYTES) {
      throw new IOException(
          "the socket path "
              + path
              + " has "
              + length
              + " bytes; unix sockets allow "
              + MAX_PATH_BYTES
              + ": choose a shorter one");
    }
    Path folder = path.toAbsolutePath().getParent();
    if (folder != null) {
      try {
        Files.createDirectories(folder);
      } catch (IOException e) {
        throw IoProblem.in(
            "the folder of the socket " + path + " cannot be made (choose another path)", e);
      }
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
    Files.deleteIfExists(path);
  }

  /// Lets only those connect whom the permissions name.
  ///
  /// @throws IOException if the file system knows no permissions
  public static void guard(Path path, String permissions) throws IOException {
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(permissions));
  }

  private static boolean isLive(Path path) throws IOException {
    try (SocketChannel _ = SocketChannel.open(UnixDomainSocketAddress.of(path))) {
      return true;
    } catch (ConnectException _) {
      return false; // left by a process that was killed
    } catch (IOException e) {
      // Another user's, perhaps: not ours to remove.
      throw IoProblem.in(
          "the socket " + path + " is there and cannot be tried (remove it or choose another path)",
          e);
    }
  }
}
