package dev.prestage.benchmarks.simulator;

import dev.prestage.benchmarks.Check;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.simulator.cache.Lru;
import dev.prestage.simulator.policy.Choice;
import dev.prestage.simulator.policy.Policies;
import dev.prestage.simulator.replay.CacheLoop;
import dev.prestage.simulator.report.CacheSize;
import dev.prestage.simulator.report.ClosedReport;
import dev.prestage.simulator.report.OpenReport;
import dev.prestage.simulator.report.Options;
import dev.prestage.simulator.report.Simulation;
import dev.prestage.simulator.trace.Progress;
import dev.prestage.simulator.trace.Trace;
import dev.prestage.simulator.trace.TraceFiles;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;

/// Whether the simulator does the same work as others: its rows against published ones, on public
/// traces in a folder, and whether it is fast enough to be used.
public final class SimulatorGate {
  private static final CacheSize FIVE_PERCENT = new CacheSize(5);

  /// On starts of real programs: stall in seconds of closed loops with cold hosts, and how far from
  /// it a row may be, as a share.
  private static final Map<String, Double> STALL_SECONDS =
      new TreeMap<>(Map.of("none", 293.0, "reap", 35.0, "lookahead", 2.7));

  private static final double STALL_TOLERANCE = 0.1;

  private static final double LEAST_PAGES_PER_SECOND = 3e6;
  private static final double MOST_TABLE_SECONDS = 300;
  private static final int SPEED_RUNS = 5;

  private final Path folder;
  private final Consumer<Check> checks;

  /// @param folder with the traces
  /// @param checks hears each comparison as soon as it is made
  public SimulatorGate(Path folder, Consumer<Check> checks) {
    this.folder = folder;
    this.checks = checks;
  }

  /// Runs all comparisons.
  ///
  /// @throws IOException if a trace cannot be read
  public void run() throws IOException, InterruptedException {
    Map<String, List<Published>> byTrace = new TreeMap<>();
    for (Published published : Published.all()) {
      byTrace.computeIfAbsent(published.trace(), _ -> new ArrayList<>()).add(published);
    }
    for (Map.Entry<String, List<Published>> entry : byTrace.entrySet()) {
      compare(trace(entry.getKey()), entry.getValue());
    }
    compareStalls(trace("starts64k"));
    Trace large = trace("P6");
    checkSpeed(large);
    checkTable(large);
  }

  private Trace trace(String name) throws IOException {
    return trace(folder, name);
  }

  /// The trace of a name in a folder.
  public static Trace trace(Path folder, String name) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      Path file =
          files
              .filter(path -> path.getFileName().toString().startsWith(name + "."))
              .filter(path -> !path.getFileName().toString().contains(".files."))
              .findFirst()
              .orElseThrow(
                  () -> new FileSystemException(folder.toString(), null, "has no trace " + name));
      return TraceFiles.read(file, TraceFiles.AUTO, Progress.NONE);
    }
  }

  private void compare(Trace trace, List<Published> wanted) throws InterruptedException {
    List<String> policies = wanted.stream().map(Published::policy).distinct().toList();
    OpenReport caches =
        new Simulation(
                trace,
                options(
                    policies.stream().filter(name -> Choice.of(name).isCache()).toList(),
                    List.of(new CacheSize(1), FIVE_PERCENT, new CacheSize(10))),
                (_, _) -> {})
            .open();
    OpenReport prefetchers =
        new Simulation(
                trace,
                options(
                    policies.stream().filter(name -> !Choice.of(name).isCache()).toList(),
                    List.of(FIVE_PERCENT)),
                (_, _) -> {})
            .open();
    for (Published published : wanted) {
      OpenReport report = Choice.of(published.policy()).isCache() ? caches : prefetchers;
      OpenReport.Row row = report.row(published.policy(), published.cache(), published.lead());
      String where =
          String.format(
              Locale.ROOT,
              "%s %s at %s, lead %d",
              trace.name(),
              published.policy(),
              published.cache(),
              published.lead());
      check(
          where + ", misses",
          row.result().demandMissRatio(),
          published.missRatio(),
          published.tolerance());
      if (published.hasUseless()) {
        check(
            where + ", useless",
            row.result().uselessPerDemandPage(),
            published.uselessPerDemandPage(),
            published.tolerance() + Published.CUT);
      }
    }
  }

  private void check(String what, double value, double wanted, double tolerance) {
    checks.accept(
        new Check(
            what,
            value,
            String.format(Locale.ROOT, "%.4f ± %.4f", wanted, tolerance),
            Math.abs(value - wanted) <= tolerance));
  }

  private void compareStalls(Trace trace) throws InterruptedException {
    ClosedReport report =
        new Simulation(
                trace,
                options(List.copyOf(STALL_SECONDS.keySet()), List.of(CacheSize.UNLIMITED)),
                (_, _) -> {})
            .closed();
    for (Map.Entry<String, Double> wanted : STALL_SECONDS.entrySet()) {
      double seconds = report.row(wanted.getKey()).result().stallNanos() / 1e9;
      checks.accept(
          new Check(
              trace.name() + " " + wanted.getKey() + ", stall in seconds",
              seconds,
              wanted.getValue() + " ± 10 %",
              Math.abs(seconds / wanted.getValue() - 1) <= STALL_TOLERANCE));
    }
  }

  private static Options options(List<String> policies, List<CacheSize> caches) {
    return new Options(
        policies.stream().map(Choice::of).toList(),
        caches,
        List.of(0, 2, 8),
        Double.POSITIVE_INFINITY,
        Thresholds.DEFAULT,
        Limits.DEFAULT.horizon(),
        Duration.ofMillis(10),
        32,
        true);
  }

  private void checkSpeed(Trace trace) {
    double[] perSecond = new double[SPEED_RUNS];
    for (int run = 0; run < SPEED_RUNS; run++) {
      double micros =
          CacheLoop.run(trace, new Lru(FIVE_PERCENT.pages(trace))).cpuMicrosPerRequest();
      perSecond[run] = 1e6 * trace.pages() / (micros * trace.requests());
    }
    Arrays.sort(perSecond);
    double median = perSecond[SPEED_RUNS / 2];
    checks.accept(
        new Check(
            trace.name() + " lru, million pages a second of one core",
            median / 1e6,
            "at least 3",
            median >= LEAST_PAGES_PER_SECOND));
  }

  private void checkTable(Trace trace) throws InterruptedException {
    long start = System.nanoTime();
    new Simulation(
            trace,
            options(
                Policies.ALL.stream().map(Policies.Entry::name).toList(), List.of(FIVE_PERCENT)),
            (_, _) -> {})
        .open();
    double seconds = (System.nanoTime() - start) / 1e9;
    checks.accept(
        new Check(
            trace.name() + ", seconds for a table of all policies at three leads",
            seconds,
            "at most 300",
            seconds <= MOST_TABLE_SECONDS));
  }
}
