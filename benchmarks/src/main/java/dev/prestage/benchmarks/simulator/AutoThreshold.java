package dev.prestage.benchmarks.simulator;

import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.demo.RecordedBoots;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.simulator.policy.Choice;
import dev.prestage.simulator.replay.ClosedLoop;
import dev.prestage.simulator.report.CacheSize;
import dev.prestage.simulator.report.ClosedReport;
import dev.prestage.simulator.report.Options;
import dev.prestage.simulator.report.Simulation;
import dev.prestage.simulator.trace.Trace;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// The threshold that the planner derives beside fixed ones, in closed loop: stall, and what is
/// fetched beyond what no prefetch fetches, at 200 MB/s.
public final class AutoThreshold {
  private static final String US = "prestage";
  private static final double BYTES_PER_SECOND = 200e6;
  private static final double[] FIXED = {.1, .2, .3, .5, .7};
  private static final List<String> TRACES = List.of("starts64k", "starts4k", "vmboot64k");
  private static final double MOST = 1.1;

  /// A small cache is not cold: what a run left is there for the next one, as far as it fits.
  private static final CacheSize SMALL = new CacheSize(5);

  private AutoThreshold() {}

  /// Compares on the traces of a folder and on the recorded boots.
  ///
  /// @param folder null for the recorded boots alone
  /// @throws IOException if a trace cannot be read
  public static void run(@Nullable Path folder, Consumer<Check> checks)
      throws IOException, InterruptedException {
    List<Trace> traces = new ArrayList<>();
    if (folder != null) {
      for (String name : TRACES) {
        traces.add(SimulatorGate.trace(folder, name));
      }
    }
    traces.add(RecordedBoots.trace(1));
    for (Trace trace : traces) {
      compare(trace, CacheSize.UNLIMITED, true, checks);
      compare(trace, SMALL, false, checks);
    }
  }

  private static void compare(Trace trace, CacheSize cache, boolean cold, Consumer<Check> checks)
      throws InterruptedException {
    double best = Double.MAX_VALUE;
    StringBuilder all = new StringBuilder();
    for (double threshold : FIXED) {
      double cost = cost(trace, cache, cold, threshold);
      all.append(String.format(Locale.ROOT, " %s: %.3f", threshold, cost));
      best = Math.min(best, cost);
    }
    double auto = cost(trace, cache, cold, Thresholds.AUTO);
    checks.accept(
        Check.atMost(
            String.format(
                Locale.ROOT,
                "%s, %s: auto's seconds (%.3f) / the best fixed threshold's (%s)",
                trace.name(),
                cold ? "cold hosts" : "a cache of 5 %",
                auto,
                all.toString().strip()),
            auto / best,
            MOST));
  }

  private static double cost(Trace trace, CacheSize cache, boolean cold, double threshold)
      throws InterruptedException {
    Options options =
        new Options(
            List.of(Choice.of(US)),
            List.of(cache),
            List.of(0),
            Double.POSITIVE_INFINITY,
            threshold,
            Limits.DEFAULT.horizon(),
            Duration.ofMillis(10),
            32,
            cold);
    ClosedReport report = new Simulation(trace, options, (_, _) -> {}).closed();
    long stall = 0;
    long fetched = 0;
    for (ClosedLoop.RunResult run : report.row(US).result().runs()) {
      stall += run.stallNanos();
      fetched += run.fetched();
    }
    long without = report.fetchedWithout().values().stream().mapToLong(Long::longValue).sum();
    return stall / 1e9 + (fetched - without) * trace.unitBytes() / BYTES_PER_SECOND;
  }
}
