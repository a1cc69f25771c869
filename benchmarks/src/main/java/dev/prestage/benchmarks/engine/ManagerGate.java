package dev.prestage.benchmarks.engine;

import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.simulator.AutoThreshold;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/// The part that decides what is allocated ahead: whether its account and its limits hold on any
/// day of a host, what a decision costs, and what the derived threshold is worth.
public final class ManagerGate {
  private ManagerGate() {}

  /// Makes all comparisons.
  ///
  /// @param seeds how many days are lived
  /// @param folder with traces; null to compare thresholds on the recorded boots only, and no tiers
  /// @throws IOException if a trace cannot be read
  public static void run(int seeds, @Nullable Path folder, Consumer<Check> checks)
      throws IOException, InterruptedException {
    // First: the days would teach the compiler another planner.
    DecisionCost.run(checks);
    AtomicInteger broken = new AtomicInteger();
    AtomicLong granted = new AtomicLong();
    // Days know nothing of one another.
    LongStream.rangeClosed(1, seeds)
        .parallel()
        .forEach(seed -> {
          try {
            granted.addAndGet(new HostDay(seed).run().granted());
          } catch (IllegalStateException e) {
            broken.incrementAndGet();
            System.err.println(e.getMessage());
          }
        });
    checks.accept(
        Check.atMost("days of " + seeds + " on which something did not hold", broken.get(), 0));
    checks.accept(new Check("units leased on all of them", granted.get(), "to be seen", true));
    BehindStaging.run(checks);
    if (folder != null) {
      TierMisses.run(folder, checks);
    }
    AutoThreshold.run(folder, checks);
  }
}
