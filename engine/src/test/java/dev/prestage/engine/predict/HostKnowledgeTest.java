package dev.prestage.engine.predict;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class HostKnowledgeTest {
  private static final int SHARES = 512;
  private static final int NEIGHBOURS = 1000;

  private static HostKnowledge counted() {
    HostKnowledge knowledge = new HostKnowledge();
    Random random = new Random(1);
    for (int i = 0; i < 20_000; i++) {
      knowledge.shares().learn(random.nextInt(SHARES), random.nextInt(3) == 0);
      knowledge.surroundings().learn(neighbour(random.nextInt(NEIGHBOURS)), random.nextBoolean());
    }
    return knowledge;
  }

  private static int neighbour(int i) {
    return Surroundings.cell(i % 40, i / 40, 1 + i % 4, i % 13);
  }

  private static HostKnowledge decode(byte[] bytes) throws ModelException {
    return HostKnowledge.decode(ByteBuffer.wrap(bytes));
  }

  @Test
  void whatWasCountedIsReadAsItWas() throws ModelException {
    HostKnowledge knowledge = counted();
    HostKnowledge read = decode(knowledge.encode());
    for (int cell = 0; cell < SHARES; cell++) {
      assertThat(read.shares().probability(cell)).isEqualTo(knowledge.shares().probability(cell));
    }
    for (int i = 0; i < NEIGHBOURS; i++) {
      assertThat(read.surroundings().probability(neighbour(i)))
          .isEqualTo(knowledge.surroundings().probability(neighbour(i)));
    }
    assertThat(read.encode()).isEqualTo(knowledge.encode());
  }

  @Test
  void bytesThatAreCutOrTooLongOrDamagedOrOfAnotherVersionAreRefused() {
    byte[] bytes = counted().encode();
    for (int length = 0; length < bytes.length; length += 7) {
      byte[] cut = Arrays.copyOf(bytes, length);
      assertThatThrownBy(() -> decode(cut)).isInstanceOf(ModelException.class);
    }
    assertThatThrownBy(() -> decode(Arrays.copyOf(bytes, bytes.length + 1)))
        .isInstanceOf(ModelException.class);
    byte[] damaged = bytes.clone();
    damaged[bytes.length / 2] ^= 4;
    assertThatThrownBy(() -> decode(damaged)).hasMessageContaining("checksum");
    byte[] newer = bytes.clone();
    newer[11] = 2;
    assertThatThrownBy(() -> decode(newer)).hasMessageContaining("format version 2");
    byte[] other = bytes.clone();
    other[0]++;
    assertThatThrownBy(() -> decode(other)).hasMessageContaining("not a host's counts");
  }

  /// With the right checksum: written by a fault of ours, or by somebody.
  @Test
  void countsThatCannotBeAreRefused() {
    byte[] noSuchContext = {0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 1};
    byte[] moreCameThanWere = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3};
    for (byte[] counts : new byte[][] {noSuchContext, moreCameThanWere}) {
      ByteBuffer inside = ByteBuffer.allocate(100);
      inside.putInt(1).putShort((short) 6).put("shares".getBytes(StandardCharsets.US_ASCII));
      inside.putInt(1).putInt(counts.length).put(counts).flip();
      byte[] bytes = new byte[inside.remaining()];
      inside.get(bytes);
      byte[] file = new Envelope(1, bytes).seal(ByteBuffer.wrap(counted().encode()).getLong());
      assertThatThrownBy(() -> decode(file))
          .hasMessageMatching("it says that \\d of \\d cases came true in context \\d+");
    }
  }
}
