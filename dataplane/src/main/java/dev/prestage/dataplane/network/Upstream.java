package dev.prestage.dataplane.network;

import dev.prestage.link.host.IoProblem;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Where guests' connections go.
///
/// @param host a name or the text of an address, without brackets
/// @param port 1 to 65535
record Upstream(String host, int port) {
  /// Time for the first request to connect and three more: Linux repeats it after 1, 3 and 7
  /// seconds.
  static final Duration PATIENCE = Duration.ofSeconds(10);

  private static final Pattern TEXT =
      Pattern.compile(
          "(?:(?<name>[A-Za-z0-9_][A-Za-z0-9._-]{0,252})|\\[(?<six>[0-9A-Fa-f:.]{2,45})])"
              + ":(?<port>[0-9]{1,5})");

  /// The upstream that a binding names as `host:port`.
  ///
  /// @throws IOException with one line for whoever asked
  static Upstream of(String source) throws IOException {
    Matcher parts = TEXT.matcher(source);
    if (parts.matches()) {
      int port = Integer.parseInt(parts.group("port"));
      String name = parts.group("name");
      if (port >= 1 && port <= 65535) {
        return new Upstream(name == null ? parts.group("six") : name, port);
      }
    }
    throw new IOException(
        "'" + source + "' is no upstream: name it as host:port, an IPv6 address in brackets");
  }

  /// Connects to the first of the host's addresses that answers.
  ///
  /// @throws IOException with one line that names the upstream
  SocketChannel connect() throws IOException {
    IOException failure = new IOException("its name has no address");
    for (InetAddress address : addresses()) {
      SocketChannel channel = SocketChannel.open();
      try {
        channel
            .socket()
            .connect(new InetSocketAddress(address, port), Math.toIntExact(PATIENCE.toMillis()));
        prepare(channel);
        return channel;
      } catch (IOException e) {
        channel.close();
        failure = e;
      }
    }
    throw IoProblem.in(this + " cannot be reached", failure);
  }

  /// The ends of what is relayed decide when to send and how long to wait, so nothing is gathered
  /// here. An end that vanishes is found out as the kernel's settings say.
  static void prepare(SocketChannel channel) throws IOException {
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    channel.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
  }

  /// The address if it was named by its text, without asking anybody.
  Optional<List<InetAddress>> knownAddresses() {
    try {
      return Optional.of(List.of(InetAddress.ofLiteral(host)));
    } catch (IllegalArgumentException _) {
      return Optional.empty();
    }
  }

  /// The addresses of a name, which may take the resolver a while.
  ///
  /// @throws IOException with one line that names the upstream
  List<InetAddress> addresses() throws IOException {
    Optional<List<InetAddress>> known = knownAddresses();
    if (known.isPresent()) {
      return known.get();
    }
    var lookup = new FutureTask<>(() -> List.of(InetAddress.getAllByName(host)));
    Thread.ofPlatform().daemon().name("resolve-" + host).start(lookup);
    try {
      return lookup.get();
    } catch (ExecutionException e) {
      throw new IOException("the name of " + this + " cannot be resolved", e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while " + this + " was resolved", e);
    }
  }

  @Override
  public String toString() {
    return (host.indexOf(':') < 0 ? host : "[" + host + "]") + ":" + port;
  }
}
