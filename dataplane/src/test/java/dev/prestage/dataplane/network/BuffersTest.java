package dev.prestage.dataplane.network;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class BuffersTest {
  private static ByteBuffer filled(ByteBuffer buffer) {
    return buffer.clear();
  }

  @Test
  void aBufferThatWasFilledGrowsTwiceAndOneThatWasNotStays() {
    Buffers buffers = new Buffers();
    ByteBuffer small = Buffers.empty();
    assertThat(buffers.next(small)).isSameAs(small);
    ByteBuffer larger = buffers.next(filled(small));
    assertThat(larger.capacity()).isEqualTo(16 * 1024);
    ByteBuffer bulk = buffers.next(filled(larger));
    assertThat(bulk.capacity()).isEqualTo(Buffers.BULK_BYTES);
    assertThat(buffers.next(filled(bulk))).isSameAs(bulk);
    buffers.giveBack(bulk);
    assertThat(buffers.grownBytes()).isZero();
  }

  @Test
  void allTogetherGrowWithinTheBudgetAndWhatIsGivenBackServesOthers() {
    Buffers buffers = new Buffers();
    List<ByteBuffer> held = new ArrayList<>();
    for (int direction = 0; direction < 10_000; direction++) {
      ByteBuffer buffer = Buffers.empty();
      for (int round = 0; round < 3; round++) {
        buffer = buffers.next(filled(buffer));
      }
      held.add(buffer);
    }
    long grown = held.stream().mapToLong(each -> each.capacity() - Buffers.SMALL_BYTES).sum();
    assertThat(buffers.grownBytes()).isEqualTo(grown);
    assertThat(grown).isBetween(Buffers.GROWN_BYTES - Buffers.BULK_BYTES, Buffers.GROWN_BYTES);
    ByteBuffer last = held.getLast();
    assertThat(buffers.next(filled(last))).isSameAs(last);
    held.forEach(buffers::giveBack);
    assertThat(buffers.grownBytes()).isZero();
    assertThat(buffers.next(filled(last)).capacity()).isGreaterThan(last.capacity());
  }
}
