package dev.prestage.control.api;

import java.io.IOException;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.HashSet;
import java.util.Set;

/// The file of a unix socket: makes room for it before a server binds, and guards it afterwards.
final class SocketFile {
  /// The kernel's `sun_path` has 108 bytes, the last of them a zero.
  static final int MAX_PATH_BYTES = 107;

  private SocketFile() {}

  /// Removes what a dead server left behind.
  ///
  /// @throws IOException one line for the operator, when a live server or something else is there
  static void prepare(Path path) throws IOException {
    int length = path.toString().getBytes(StandardCharsets.UTF_8).length;
    if (length > MAX_PATH_BYTES) {
      throw new IOException(
          "the API's socket "
              + path
              + " has a path of "
              + length
              + " bytes, and the kernel takes at most "
              + MAX_PATH_BYTES
              + "; configure a shorter one");
    }
    Path parent = path.toAbsolutePath().getParent();
    if (parent != null) {
      try {
        Files.createDirectories(parent);
      } catch (IOException e) {
        throw new IOException(
            "the API's socket "
                + path
                + " needs a folder that cannot be made ("
                + e
                + "); make it, or configure another path",
            e);
      }
    }
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (!Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
        .isOther()) {
      throw new IOException(
          "the API's socket "
              + path
              + " cannot be made: a file that is not a socket has this name; move it away or"
              + " configure another path");
    }
    try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      channel.connect(UnixDomainSocketAddress.of(path));
    } catch (ConnectException _) {
      Files.deleteIfExists(path); // nobody listens: left by a process that was killed
      return;
    } catch (IOException e) {
      if (!"Connection refused".equals(e.getMessage())) {
        throw new IOException(
            "the API's socket "
                + path
                + " is there and cannot be tried ("
                + e.getMessage()
                + "); remove it or configure another path",
            e);
      }
      Files.deleteIfExists(path);
      return;
    }
    throw new IOException(
        "the API's socket "
            + path
            + " is in use by another process; stop that one or configure another path");
  }

  /// Only for the user that this process runs as.
  static void guard(Path path) throws IOException {
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
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
}
