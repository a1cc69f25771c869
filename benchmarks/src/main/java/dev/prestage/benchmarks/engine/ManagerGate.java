package dev.prestage.benchmarks.engine;

import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.simulator.AutoThreshold;
import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// The part that decides what is allocated ahead: whether its account and its limits hold on any
/// day of a host, what a decision costs, and what the derived threshold is worth.
public final class ManagerGate {
  private ManagerGate() {}

  /// Makes all comparisons.
  ///
  /// @param seeds how many days are lived
  /// @param folder with traces; null to compare thresholds on the recorded boots only
  /// @throws IOException if a trace cannot be read
  public static void run(int seeds, @Nullable Path folder, Consumer<Check> checks)
      throws IOException, InterruptedException {
    // First: the days would teach the compiler another planner.
    DecisionCost.run(checks);
    int broken = 0;
    long granted = 0;
    for (long seed = 1; seed <= seeds; seed++) {
      try {
        granted += new HostDay(seed).run().granted();
      } catch (IllegalStateException e) {
        broken++;
        System.err.println(e.getMessage());
      }
    }
    checks.accept(Check.atMost("days of " + seeds + " on which something did not hold", broken, 0));
    checks.accept(new Check("units leased on all of them", granted, "to be seen", true));
    AutoThreshold.run(folder, checks);
  }
}
