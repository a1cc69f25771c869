package dev.prestage.simulator.replay;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;

/// The processor time of the thread that made it, and the spread of single steps.
///
/// At first one step in eight is timed by itself. Whenever the samples have filled their array,
/// every second is dropped and steps are timed half as often, so that traces of any length cost the
/// same memory: p99 of 32,768 samples rests on 328 of them.
final class CpuTime {
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private final long startNanos = THREADS.getCurrentThreadCpuTime();
  private final long[] samples = new long[1 << 16];
  private int sampled;
  private long steps;
  private long stride = 8;

  /// Takes a step, and times it by the wall clock if it is its turn.
  void time(Runnable step) {
    if (steps++ % stride != 0) {
      step.run();
      return;
    }
    long start = System.nanoTime();
    step.run();
    sample(System.nanoTime() - start);
  }

  private void sample(long nanos) {
    if (sampled == samples.length) {
      sampled /= 2;
      for (int i = 0; i < sampled; i++) {
        samples[i] = samples[2 * i];
      }
      stride *= 2;
    }
    samples[sampled++] = nanos;
  }

  /// Processor time since this was made, in microseconds.
  double micros() {
    return (THREADS.getCurrentThreadCpuTime() - startNanos) / 1e3;
  }

  /// What the slowest hundredth of the sampled steps took at least, in microseconds.
  double p99Micros() {
    if (sampled == 0) {
      return 0;
    }
    long[] sorted = Arrays.copyOf(samples, sampled);
    Arrays.sort(sorted);
    return sorted[(int) (sorted.length * 0.99)] / 1e3;
  }
}
