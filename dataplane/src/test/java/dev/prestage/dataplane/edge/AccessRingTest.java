package dev.prestage.dataplane.edge;

import static org.assertj.core.api.Assertions.assertThat;

import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
final class AccessRingTest {
  private final Doorbell doorbell = new Doorbell();

  @Test
  void whatGoesInComesOutOnceAndInOrder() {
    var ring = new AccessRing(4, doorbell);
    List<String> out = new ArrayList<>();
    AccessRing.Sink sink =
        (vm, space, offset, size, time, type, cause, waited, latency) ->
            out.add(
                vm + "/" + space + "@" + offset + "+" + size + " " + time + type + cause + waited
                    + latency);
    for (int round = 0; round < 3; round++) {
      assertThat(ring.isEmpty()).isTrue();
      assertThat(
              ring.offer(
                  -1,
                  1 << 22,
                  1L << 50,
                  32 << 20,
                  9,
                  AccessType.UNKNOWN,
                  Cause.MAINTENANCE,
                  true,
                  -1))
          .isTrue();
      assertThat(ring.offer(2, 3, 4, 5, 6, AccessType.WRITE, Cause.DEMAND, false, 7)).isTrue();
      assertThat(ring.isEmpty()).isFalse();
      assertThat(ring.drain(sink, 1)).isEqualTo(1);
      assertThat(ring.drain(sink, 9)).isEqualTo(1);
      assertThat(out)
          .containsExactly(
              "-1/4194304@1125899906842624+33554432 9UNKNOWNMAINTENANCEtrue-1",
              "2/3@4+5 6WRITEDEMANDfalse7");
      out.clear();
    }
  }

  private static boolean offer(AccessRing ring, long offset) {
    return ring.offer(0, 0, offset, 1, 0, AccessType.READ, Cause.DEMAND, false, 0);
  }

  @Test
  void aFullRingRefusesAndTakesAgainOnceDrained() {
    var ring = new AccessRing(4, doorbell);
    for (int i = 0; i < 4; i++) {
      assertThat(offer(ring, i)).isTrue();
    }
    assertThat(offer(ring, 4)).isFalse();
    assertThat(ring.drain((_, _, _, _, _, _, _, _, _) -> {}, 2)).isEqualTo(2);
    assertThat(offer(ring, 5)).isTrue();
    assertThat(offer(ring, 6)).isTrue();
    assertThat(offer(ring, 7)).isFalse();
  }

  @Test
  void manyProducersLoseNothingButWhatWasRefused() throws Exception {
    int producers = 4;
    int each = 50_000;
    var ring = new AccessRing(256, doorbell);
    var accepted = new AtomicLong();
    var running = new AtomicInteger(producers);
    List<Thread> threads = new ArrayList<>();
    for (int p = 0; p < producers; p++) {
      int vm = p;
      threads.add(
          Thread.ofPlatform()
              .start(() -> {
                for (int i = 0; i < each; i++) {
                  if (ring.offer(vm, vm, i, i, i, AccessType.READ, Cause.DEMAND, true, i)) {
                    accepted.incrementAndGet();
                  }
                }
                running.decrementAndGet();
                doorbell.ring();
              }));
    }
    long[] last = {-1, -1, -1, -1};
    long drained = 0;
    while (running.get() > 0 || !ring.isEmpty()) {
      int count =
          ring.drain(
              (vm, space, offset, size, time, _, _, _, latency) -> {
                assertThat(space).isEqualTo(vm);
                assertThat(offset).isEqualTo(time).isEqualTo(size).isEqualTo(latency);
                assertThat(offset).as("in order").isGreaterThan(last[vm]);
                last[vm] = offset;
              },
              64);
      drained += count;
      if (count == 0) {
        doorbell.sleep(1_000_000, () -> !ring.isEmpty() || running.get() == 0);
      }
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertThat(drained).isEqualTo(accepted.get()).isPositive();
  }
}
