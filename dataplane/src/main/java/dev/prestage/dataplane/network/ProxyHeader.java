package dev.prestage.dataplane.network;

import java.net.Inet6Address;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/// What tells an upstream whose connection it relays: the header of the PROXY protocol, version 2
/// ("The PROXY protocol, versions 1 & 2", HAProxy Technologies, section 2.2).
final class ProxyHeader {
  /// With addresses of IPv6, the longest one that is written here.
  static final int MOST_BYTES = 16 + 2 * 16 + 2 * 2;

  private static final byte[] SIGNATURE =
      "\r\n\r\n\0\r\nQUIT\n".getBytes(StandardCharsets.US_ASCII);
  private static final byte VERSION_2_PROXY = 0x21;
  private static final byte TCP_OVER_IPV4 = 0x11;
  private static final byte TCP_OVER_IPV6 = 0x21;

  private ProxyHeader() {}

  /// Writes the header of one connection.
  ///
  /// @param guest its end
  /// @param relay the end that the guest connected to, of the same family
  static void write(ByteBuffer to, InetSocketAddress guest, InetSocketAddress relay) {
    byte[] source = guest.getAddress().getAddress();
    byte[] destination = relay.getAddress().getAddress();
    if (source.length != destination.length) {
      throw new IllegalArgumentException(guest + " and " + relay + " are of two families");
    }
    to.put(SIGNATURE).put(VERSION_2_PROXY);
    to.put(guest.getAddress() instanceof Inet6Address ? TCP_OVER_IPV6 : TCP_OVER_IPV4);
    to.putShort((short) (source.length + destination.length + 2 * Short.BYTES));
    to.put(source).put(destination);
    to.putShort((short) guest.getPort()).putShort((short) relay.getPort());
  }
}
