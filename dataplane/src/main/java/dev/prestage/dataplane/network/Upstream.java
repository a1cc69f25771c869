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
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import jdk.net.ExtendedSocketOptions;

/// Where guests' connections go.
///
/// @param host a name or the text of an address, without brackets
/// @param port 1 to 65535
/// @param namesGuests whether each connection begins with a [ProxyHeader]
/// @param lookup resolves the host where it is a name
record Upstream(String host, int port, boolean namesGuests, Lookup lookup) {
  /// Time for the first request to connect and three more: Linux repeats it after 1, 3 and 7
  /// seconds.
  static final Duration PATIENCE = Duration.ofSeconds(10);

  /// An upstream that vanished (its machine was switched off, a firewall forgot the connection)
  /// says nothing. One that was silent for a minute is asked, and is given up after two, not after
  /// Linux' two hours: it holds a level, or stands ready for a guest that it would cheat.
  private static final int SILENT_SECONDS = 60;

  private static final int ASK_SECONDS = 10;
  private static final int ASK_TIMES = 6;

  private static final Pattern TEXT =
      Pattern.compile(
          "(?:(?<name>[A-Za-z0-9_][A-Za-z0-9._-]{0,252})|\\[(?<six>[0-9A-Fa-f:.]{2,45})])"
              + ":(?<port>[0-9]{1,5})(?<proxy>,proxy=v2)?");

  /// The upstream that a binding names as `host:port`, or as `host:port,proxy=v2` where it is to be
  /// told whose connection it gets.
  ///
  /// @throws IOException with one line for whoever asked
  static Upstream of(String source) throws IOException {
    return of(source, Lookup::new);
  }

  /// The same with a lookup that others of the same host may share.
  ///
  /// @param lookups finds the lookup of a host's name
  static Upstream of(String source, Function<String, Lookup> lookups) throws IOException {
    Matcher parts = TEXT.matcher(source);
    if (parts.matches()) {
      int port = Integer.parseInt(parts.group("port"));
      String name = parts.group("name");
      if (port >= 1 && port <= 65535) {
        String host = name == null ? parts.group("six") : name;
        return new Upstream(host, port, parts.group("proxy") != null, lookups.apply(host));
      }
    }
    throw new IOException(
        "'"
            + source
            + "' is no upstream: name it as host:port or host:port,proxy=v2, an IPv6 address in"
            + " brackets");
  }

  /// Connects to the first of the host's addresses that answers.
  ///
  /// @throws IOException with one line that names the upstream
  SocketChannel connect() throws IOException {
    IOException failure = new IOException("its name has no address");
    try {
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
        } catch (IllegalArgumentException e) {
          channel.close();
          failure = unusable(address, e);
        }
      }
    } catch (IOException e) {
      failure = e;
    }
    throw IoProblem.in(this + " cannot be reached", failure);
  }

  /// Why an address cannot be connected to at all, such as one of IPv6 on a host without it.
  static IOException unusable(InetAddress address, IllegalArgumentException e) {
    return new IOException("this host cannot connect to " + address.getHostAddress(), e);
  }

  /// Prepares a connection to an upstream. The ends of what is relayed decide when to send and how
  /// long to wait, so nothing is gathered here.
  static void prepare(SocketChannel channel) throws IOException {
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    channel.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
    channel.setOption(ExtendedSocketOptions.TCP_KEEPIDLE, SILENT_SECONDS);
    channel.setOption(ExtendedSocketOptions.TCP_KEEPINTERVAL, ASK_SECONDS);
    channel.setOption(ExtendedSocketOptions.TCP_KEEPCOUNT, ASK_TIMES);
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
  /// @throws IOException with one line
  List<InetAddress> addresses() throws IOException {
    Optional<List<InetAddress>> known = knownAddresses();
    return known.isPresent() ? known.get() : lookup.addresses(PATIENCE);
  }

  @Override
  public String toString() {
    return (host.indexOf(':') < 0 ? host : "[" + host + "]") + ":" + port;
  }
}
