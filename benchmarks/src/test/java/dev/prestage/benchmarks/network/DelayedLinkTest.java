package dev.prestage.benchmarks.network;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;

class DelayedLinkTest {
  private static ByteBuffer packet(int version) {
    ByteBuffer packet = ByteBuffer.allocate(40);
    packet.put(0, (byte) (version << 4 | 5));
    packet.putInt(12, 0x0a630001);
    packet.putInt(16, 0x0a630002);
    packet.putInt(36, 0x12345678);
    return packet;
  }

  @Test
  void anAnswerSeemsToComeFromFar() {
    ByteBuffer packet = packet(4);
    assertThat(DelayedLink.exchangeAddresses(packet)).isTrue();
    assertThat(packet.getInt(12)).isEqualTo(0x0a630002);
    assertThat(packet.getInt(16)).isEqualTo(0x0a630001);
    assertThat(packet.getInt(36)).isEqualTo(0x12345678);
    assertThat(packet.position()).isZero();
  }

  @Test
  void whatIsNotOfVersionFourIsLost() {
    assertThat(DelayedLink.exchangeAddresses(packet(6))).isFalse();
    assertThat(DelayedLink.exchangeAddresses(packet(4).limit(19))).isFalse();
  }
}
