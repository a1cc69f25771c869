package dev.prestage.simulator;

import dev.prestage.simulator.trace.Trace;
import java.util.Random;

/// Small traces, written by hand or from a seed.
public final class Traces {
  private Traces() {}

  /// One run that touches one page after the other, a millisecond apart.
  public static Trace of(long... pages) {
    Trace.Builder builder = builder();
    run(builder, "p", 0, 0, 0, 1_000_000, pages);
    return builder.build();
  }

  /// A trace to which runs are to be added.
  public static Trace.Builder builder() {
    return new Trace.Builder("t", Trace.PAGE_BYTES, true);
  }

  /// Adds a run that touches one page after the other.
  public static void run(
      Trace.Builder builder,
      String program,
      int number,
      int stream,
      long startNanos,
      long gapNanos,
      long... pages) {
    int run = builder.run(new Trace.Run(program, number, stream));
    for (int i = 0; i < pages.length; i++) {
      builder.add(startNanos + i * gapNanos, run, stream, pages[i], 1, false);
    }
  }

  /// Several runs side by side, with loops, scans and jumps.
  ///
  /// @param longest pages of a request
  public static Trace random(long seed, int requests, int span, int longest) {
    Random random = new Random(seed);
    Trace.Builder builder = builder();
    int runs = 1 + random.nextInt(4);
    for (int run = 0; run < runs; run++) {
      builder.run(new Trace.Run("p" + run % 2, run, run % 2));
    }
    long at = 0;
    long page = 0;
    for (int request = 0; request < requests; request++) {
      page =
          switch (random.nextInt(4)) {
            case 0 -> random.nextInt(span);
            case 1 -> 7L * random.nextInt(1 + span / 20);
            default -> (page + 1) % span;
          };
      at += random.nextInt(30_000_000) - 1_000_000;
      builder.add(
          at, random.nextInt(runs), 0, page, 1 + random.nextInt(longest), random.nextInt(5) == 0);
    }
    return builder.build();
  }
}
