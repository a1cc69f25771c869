package dev.prestage.benchmarks.history;

import com.sun.management.ThreadMXBean;
import dev.prestage.dataplane.edge.AccessRing;
import dev.prestage.dataplane.edge.Doorbell;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import java.lang.management.ManagementFactory;
import java.util.Arrays;

/// What a read pays on its own thread to be told of: its place in the data plane's queue, which
/// another thread empties meanwhile.
final class Publishing {
  private static final int READS = 2_000_000;
  private static final int ROUNDS = 7;

  /// @param nanos of a read's thread, the median of some rounds
  /// @param bytes allocated by that thread for one
  record Cost(double nanos, double bytes) {}

  private Publishing() {}

  static Cost measure() throws InterruptedException {
    AccessRing ring = new AccessRing(AccessRing.DEFAULT_SLOTS, new Doorbell());
    boolean[] done = {false};
    Thread drain =
        Thread.ofPlatform()
            .daemon()
            .name("drain")
            .start(() -> {
              long[] sum = {0};
              AccessRing.Sink sink = (_, _, offset, _, _, _, _, _, _) -> sum[0] += offset;
              while (!Thread.currentThread().isInterrupted()) {
                if (ring.drain(sink, 1024) == 0) {
                  Thread.onSpinWait();
                }
              }
              done[0] = sum[0] != 0;
            });
    var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    double[] nanos = new double[ROUNDS];
    double bytes = 0;
    for (int round = 0; round < ROUNDS; round++) {
      long allocated = threads.getCurrentThreadAllocatedBytes();
      long began = threads.getCurrentThreadCpuTime();
      int offered = 0;
      int refused = 0;
      while (offered < READS) {
        if (ring.offer(
            1,
            2,
            (long) offered << 12,
            4096,
            1_000_000_000L + offered,
            AccessType.READ,
            Cause.DEMAND,
            false,
            1000)) {
          offered++;
        } else {
          refused++;
        }
      }
      nanos[round] = (double) (threads.getCurrentThreadCpuTime() - began) / (offered + refused);
      bytes = (double) (threads.getCurrentThreadAllocatedBytes() - allocated) / offered;
    }
    drain.interrupt();
    drain.join();
    if (!done[0]) {
      throw new IllegalStateException("the queue was not emptied");
    }
    Arrays.sort(nanos);
    return new Cost(nanos[ROUNDS / 2], bytes);
  }
}
