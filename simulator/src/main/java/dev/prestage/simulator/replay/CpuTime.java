package dev.prestage.simulator.replay;

import it.unimi.dsi.fastutil.longs.LongArrayList;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;

/// The processor time of the thread that made it, and the spread of single steps.
final class CpuTime {
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private final long startNanos = THREADS.getCurrentThreadCpuTime();
  private final LongArrayList samples = new LongArrayList();

  /// One step took so long by the wall clock.
  void sample(long nanos) {
    samples.add(nanos);
  }

  /// Processor time since this was made, in microseconds.
  double micros() {
    return (THREADS.getCurrentThreadCpuTime() - startNanos) / 1e3;
  }

  /// What the slowest hundredth of the sampled steps took at least, in microseconds.
  double p99Micros() {
    if (samples.isEmpty()) {
      return 0;
    }
    long[] sorted = samples.toLongArray();
    Arrays.sort(sorted);
    return sorted[(int) (sorted.length * 0.99)] / 1e3;
  }
}
