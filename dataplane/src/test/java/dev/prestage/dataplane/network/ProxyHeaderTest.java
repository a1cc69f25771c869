package dev.prestage.dataplane.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

class ProxyHeaderTest {
  private static final String SIGNATURE = "0d0a0d0a000d0a515549540a";

  private static String header(String guest, String relay) {
    ByteBuffer to = ByteBuffer.allocate(ProxyHeader.MOST_BYTES);
    ProxyHeader.write(
        to,
        new InetSocketAddress(InetAddress.ofLiteral(guest), 0xabcd),
        new InetSocketAddress(InetAddress.ofLiteral(relay), 5432));
    to.flip();
    byte[] bytes = new byte[to.remaining()];
    to.get(bytes);
    return HexFormat.of().formatHex(bytes);
  }

  @Test
  void aGuestOfIpv4IsNamedInTwelveBytes() {
    assertThat(header("192.168.122.7", "192.168.122.1"))
        .isEqualTo(SIGNATURE + "2111000c" + "c0a87a07" + "c0a87a01" + "abcd" + "1538");
  }

  @Test
  void aGuestOfIpv6IsNamedInThirtySixBytes() {
    assertThat(header("fd00::7", "fd00::1"))
        .isEqualTo(
            SIGNATURE
                + "21210024"
                + "fd000000000000000000000000000007"
                + "fd000000000000000000000000000001"
                + "abcd"
                + "1538");
  }

  @Test
  void endsOfTwoFamiliesAreNoConnection() {
    assertThatThrownBy(() -> header("192.168.122.7", "fd00::1"))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
