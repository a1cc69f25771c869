package dev.prestage.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class FrameCodecTest {
  private static final LeaseState STATE = new LeaseState(7, -1, 1, 2, 4, 8, 16, Long.MIN_VALUE, 9);

  static List<Frame> frames() {
    BitSet units = new BitSet();
    units.set(3, 200);
    units.set(100_000);
    return List.of(
        new Frame.Hello(FrameCodec.VERSION, 4711, -5),
        new Frame.Bind(1, 2, "vm-ü", 3, ResourceType.MEMORY_PAGE, "default", "debian 12.raw"),
        new Frame.Unbind(9, 2),
        new Frame.Purge(10, "default", "debian 12.raw"),
        new Frame.BoundAll(),
        new Frame.Stage(
            new Lease(
                Long.MAX_VALUE, 1, new Range(2, 1L << 39, 64), 3, 0.7f, 6, -1, Long.MAX_VALUE)),
        new Frame.Cancel(8),
        new Frame.Reclaim(9),
        new Frame.Answer(1, 1L << 40, null, "", "no"),
        new Frame.Answer(2, 9, new Shape(9, 3, Measure.CONNECTIONS, 3), "127.0.0.1:40123", ""),
        new Frame.Accesses(
            List.of(
                new Frame.AccessRecord(1, 2, 3, 4, 5, AccessType.WRITE, Cause.READAHEAD, true, -1),
                new Frame.AccessRecord(
                    6, 7, 8, 9, 10, AccessType.UNKNOWN, Cause.DEMAND, false, 11))),
        new Frame.Accesses(List.of()),
        new Frame.Leases(List.of(STATE, STATE)),
        new Frame.HeldLease(new Lease(7, 1, new Range(2, 3, 4), 0, 1, 0, 5, 6), STATE),
        new Frame.Resident(3, units),
        new Frame.Resident(4, new BitSet()),
        new Frame.Evicted(1, 2, 3),
        new Frame.Status(List.of(new Frame.Counter("demand_reads", "vm1", 5))),
        new Frame.Trouble("tier-full", "the tier is full: free some"));
  }

  @ParameterizedTest
  @MethodSource("frames")
  void frameComesBackAsItWas(Frame frame) throws ProtocolException {
    assertThat(FrameCodec.decode(ByteBuffer.wrap(FrameCodec.encode(frame)))).isEqualTo(frame);
  }

  @Test
  void everyKindOfFrameIsTried() {
    Set<Class<?>> tried = new HashSet<>();
    frames().forEach(frame -> tried.add(frame.getClass()));
    assertThat(tried).containsExactlyInAnyOrder(Frame.class.getPermittedSubclasses());
  }

  @ParameterizedTest
  @MethodSource("frames")
  void cutOrOverlongFrameIsRefused(Frame frame) {
    byte[] bytes = FrameCodec.encode(frame);
    for (int length = 0; length < Math.min(bytes.length, 200); length++) {
      ByteBuffer cut = ByteBuffer.wrap(Arrays.copyOf(bytes, length));
      assertThatThrownBy(() -> FrameCodec.decode(cut))
          .as("cut to %d", length)
          .isInstanceOf(ProtocolException.class);
    }
    ByteBuffer more = ByteBuffer.wrap(Arrays.copyOf(bytes, bytes.length + 1));
    assertThatThrownBy(() -> FrameCodec.decode(more)).isInstanceOf(ProtocolException.class);
  }

  @ParameterizedTest(name = "seed {0}")
  @ValueSource(longs = {1, 2, 3})
  void anyBytesAreAFrameOrRefused(long seed) {
    Random random = new Random(seed);
    List<byte[]> good = frames().stream().map(FrameCodec::encode).toList();
    for (int round = 0; round < 20_000; round++) {
      byte[] bytes = good.get(random.nextInt(good.size())).clone();
      for (int i = random.nextInt(5); i >= 0; i--) {
        bytes[random.nextInt(Math.min(bytes.length, 100))] = (byte) random.nextInt();
      }
      try {
        FrameCodec.decode(ByteBuffer.wrap(bytes));
      } catch (ProtocolException e) {
        assertThat(e).hasMessageMatching("(?s).+");
      } catch (RuntimeException | OutOfMemoryError e) {
        fail("seed " + seed + ", round " + round, e);
      }
    }
  }
}
