package dev.prestage.dataplane;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;

/// Guests of relayed connections, for tests.
final class Guests {
  private static final int PATIENCE_MILLIS = 20_000;

  private Guests() {}

  static InetSocketAddress endpoint(String address) {
    int colon = address.lastIndexOf(':');
    return new InetSocketAddress(
        InetAddress.ofLiteral(address.substring(0, colon).replaceAll("[\\[\\]]", "")),
        Integer.parseInt(address.substring(colon + 1)));
  }

  static Socket guest(String address) throws IOException {
    InetSocketAddress endpoint = endpoint(address);
    Socket guest = new Socket(endpoint.getAddress(), endpoint.getPort());
    guest.setSoTimeout(PATIENCE_MILLIS);
    return guest;
  }

  static void send(Socket guest, String text) throws IOException {
    guest.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
  }

  static String receive(Socket guest, int bytes) throws IOException {
    return new String(guest.getInputStream().readNBytes(bytes), StandardCharsets.US_ASCII);
  }

  static void assertEchoes(Socket guest) throws IOException {
    send(guest, "ping");
    assertThat(receive(guest, 4)).isEqualTo("ping");
  }

  static void assertReset(Socket guest) {
    assertThatThrownBy(() -> guest.getInputStream().read())
        .isInstanceOf(SocketException.class)
        .hasMessageContaining("reset");
  }

  /// It gets no answer: the connection ends, in either way.
  static void assertEnds(Socket guest) {
    int next;
    try {
      send(guest, "ping");
      next = guest.getInputStream().read();
    } catch (SocketException _) {
      next = -1;
    } catch (IOException e) {
      throw new AssertionError("it neither ends nor answers", e);
    }
    assertThat(next).isEqualTo(-1);
  }
}
