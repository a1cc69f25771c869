package dev.prestage.benchmarks.simulator;

import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.demo.RecordedBoots;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.simulator.policy.Choice;
import dev.prestage.simulator.policy.Place;
import dev.prestage.simulator.policy.Policy;
import dev.prestage.simulator.replay.ClosedLoop;
import dev.prestage.simulator.replay.OpenLoop;
import dev.prestage.simulator.report.CacheSize;
import dev.prestage.simulator.report.ClosedReport;
import dev.prestage.simulator.report.OpenReport;
import dev.prestage.simulator.report.Options;
import dev.prestage.simulator.report.Simulation;
import dev.prestage.simulator.trace.Trace;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Stream;

/// Whether forecasts are worth what they cost: the product's row against the best of its peers on
/// public traces, in one frozen configuration, in one pass, peers in hindsight.
public final class ForecastGate {
  private static final String US = "prestage";
  private static final CacheSize FIVE_PERCENT = new CacheSize(5);
  private static final List<Integer> LEADS = List.of(2, 8);
  private static final List<Double> BUDGETS = List.of(.25, 1.0);

  /// The best miss ratio at a cache of 5 % that a dozen simple prefetchers and their unions reach
  /// within a budget, each with its best setting in hindsight: for leads of 2 and 8, budgets of .25
  /// and 1.
  private static final Map<String, double[]> BEST_SIMPLE =
      Map.of(
          "cloudPhysicsIO", new double[] {.698, .422, .703, .513},
          "P3", new double[] {.637, .420, .710, .483},
          "P6", new double[] {.311, .189, .397, .244},
          "pub_dev", new double[] {.090, .074, .124, .115});

  private static final double MOST_MEAN = .55;
  private static final double MOST_CELL = .85;
  private static final double MOST_ERROR = .03;
  private static final double MOST_HARM = .10;

  /// For each trace of starts, the most of the best peer's stall, from the second start on.
  private static final double MOST_LATER = .9;

  private static final double MOST_LATER_TRAFFIC = 1.15;
  private static final double MOST_NEW_ROLE = .5;
  private static final List<String> STARTS = List.of("starts64k", "starts4k", "vmboot64k");
  private static final double MOST_MICROS = 12;
  private static final double MOST_MEGABYTES = 16;

  /// How often the cost of a forecast is measured; the least one counts. After five passes the
  /// compiler has no more to do.
  private static final int PASSES = 8;

  private final Path folder;
  private final Consumer<Check> checks;

  /// @param folder with the traces
  /// @param checks hears each comparison as soon as it is made
  public ForecastGate(Path folder, Consumer<Check> checks) {
    this.folder = folder;
    this.checks = checks;
  }

  /// Runs all comparisons.
  ///
  /// @throws IOException if a trace cannot be read
  public void run() throws IOException, InterruptedException {
    // First: the peers' calls of the same interfaces would slow down what the compiler made for one
    // forecaster, and a host runs no peers.
    checkCost();
    checkStarts();
    checkTime();
    checkTinyCaches();
    checkBlocks();
  }

  // ---- block traces, in open loop

  private void checkBlocks() throws IOException, InterruptedException {
    double logs = 0;
    int cells = 0;
    for (Map.Entry<String, double[]> entry : new TreeMap<>(BEST_SIMPLE).entrySet()) {
      String name = entry.getKey();
      Trace trace = SimulatorGate.trace(folder, name);
      int at = 0;
      for (int lead : LEADS) {
        for (double budget : BUDGETS) {
          OpenReport.Row row = open(trace, lead, budget, US).row(US, FIVE_PERCENT, lead);
          String where = name + " at lead " + lead + ", budget " + budget + ": ";
          double ratio = row.result().demandMissRatio() / entry.getValue()[at++];
          check(where + "misses / best simple prefetcher's", ratio, MOST_CELL);
          check(where + "useless", row.result().uselessPerDemandPage(), budget);
          logs += Math.log(ratio);
          cells++;
        }
      }
      checkMithril(trace);
    }
    check("geometric mean of the cells", Math.exp(logs / cells), MOST_MEAN);
    Trace search = SimulatorGate.trace(folder, "wsrch-small");
    OpenReport harm = open(search, 2, MOST_HARM, US, "lru");
    check(
        "wsrch-small: useless",
        harm.row(US, FIVE_PERCENT, 2).result().uselessPerDemandPage(),
        MOST_HARM);
  }

  private void checkMithril(Trace trace) throws InterruptedException {
    OpenReport report = open(trace, 2, BUDGETS.getFirst(), US, "mithril", "markov1", "replay");
    OpenLoop.Result ours = report.row(US, FIVE_PERCENT, 2).result();
    check(
        trace.name() + ": misses / Mithril's",
        ours.demandMissRatio() / report.row("mithril", FIVE_PERCENT, 2).result().demandMissRatio(),
        1);
    for (String expert : List.of("markov1", "replay")) {
      check(
          trace.name() + ": bits per access / " + expert + "'s",
          ours.bitsPerAccess() / report.row(expert, FIVE_PERCENT, 2).result().bitsPerAccess(),
          1);
    }
    if (trace.name().equals("cloudPhysicsIO") && report.calibration() != null) {
      check(trace.name() + ": calibration error", report.calibration().ece(), MOST_ERROR);
    }
  }

  private static OpenReport open(Trace trace, int lead, double budget, String... policies)
      throws InterruptedException {
    return new Simulation(
            trace, options(FIVE_PERCENT, List.of(lead), budget, policies), (_, _) -> {})
        .open();
  }

  // ---- starts, in closed loop on cold hosts

  private void checkStarts() throws IOException, InterruptedException {
    List<Trace> traces = new ArrayList<>();
    for (String name : STARTS) {
      traces.add(SimulatorGate.trace(folder, name));
    }
    traces.add(RecordedBoots.trace(1));
    double logs = 0;
    for (Trace trace : traces) {
      ClosedReport report =
          closed(
              trace,
              CacheSize.UNLIMITED,
              US,
              "readahead",
              "reap",
              "reap-union",
              "replay",
              "markov-lag",
              "markov1");
      Map<Trace.Run, Integer> number = numbers(trace);
      Predicate<Trace.Run> first = run -> number.getOrDefault(run, 0) == 1;
      double stall = stall(report, US, first) / stall(report, "readahead", first);
      logs += Math.log(stall);
      check(trace.name() + ": first starts' stall / readahead's", stall, 1.25);
      check(
          trace.name() + ": first starts' traffic / readahead's",
          fetched(report, US, first) / fetched(report, "readahead", first),
          1);
      if (trace.name().equals("vmboot64k")) {
        checkNewRoles(report);
      } else {
        checkLater(report, first.negate());
      }
      if (trace.name().equals("starts64k") && report.calibration() != null) {
        check("starts64k: calibration error", report.calibration().ece(), MOST_ERROR);
      }
      for (String expert : List.of("markov1", "replay")) {
        check(
            trace.name() + ": bits per access / " + expert + "'s",
            bits(report, US) / bits(report, expert),
            1);
      }
    }
    check("first starts' stall / readahead's, geometric mean", Math.exp(logs / traces.size()), 1);
  }

  private void checkLater(ClosedReport report, Predicate<Trace.Run> later) {
    double best =
        report.rows().stream()
            .map(ClosedReport.Row::policy)
            .filter(policy -> !policy.equals(US))
            .mapToDouble(policy -> stall(report, policy, later))
            .min()
            .orElseThrow();
    String name = report.trace().name();
    check(
        name + ": later starts' stall / best peer's", stall(report, US, later) / best, MOST_LATER);
    check(
        name + ": later starts' traffic / no prefetch's",
        fetched(report, US, later) / without(report, later),
        MOST_LATER_TRAFFIC);
  }

  /// The second and third boot are of roles that this host never saw, on an image that it knows.
  private void checkNewRoles(ClosedReport report) {
    for (int boot : new int[] {2, 3}) {
      Predicate<Trace.Run> it = run -> run.number() == boot;
      double best =
          report.rows().stream()
              .map(ClosedReport.Row::policy)
              .filter(policy -> !policy.equals(US))
              .mapToDouble(policy -> stall(report, policy, it))
              .min()
              .orElseThrow();
      check(
          "vmboot64k: boot " + boot + " of a new role, stall / best peer's",
          stall(report, US, it) / best,
          MOST_NEW_ROLE);
    }
  }

  private void checkTinyCaches() throws IOException, InterruptedException {
    List<Trace> traces = new ArrayList<>();
    for (String name : STARTS) {
      traces.add(SimulatorGate.trace(folder, name));
    }
    traces.add(RecordedBoots.trace(1));
    for (Trace trace : traces) {
      ClosedReport report = closed(trace, new CacheSize(1), US, "none");
      check(
          trace.name() + " with a cache of 1 %: stall / LRU's",
          stall(report, US, _ -> true) / stall(report, "none", _ -> true),
          1.05);
    }
  }

  private void checkTime() throws IOException, InterruptedException {
    double unscaled = waits(RecordedBoots.trace(1));
    for (double slowness : new double[] {.1, 10}) {
      check(
          "recordings, time scaled by " + slowness + ": difference of the share that waits",
          Math.abs(waits(RecordedBoots.trace(slowness)) - unscaled),
          .01);
    }
  }

  private static double waits(Trace trace) throws InterruptedException {
    List<ClosedLoop.RunResult> runs =
        closed(trace, CacheSize.UNLIMITED, US).row(US).result().runs();
    double waited = runs.stream().mapToLong(ClosedLoop.RunResult::waited).sum();
    return waited / runs.stream().mapToLong(ClosedLoop.RunResult::reads).sum();
  }

  private static ClosedReport closed(Trace trace, CacheSize cache, String... policies)
      throws InterruptedException {
    return new Simulation(
            trace, options(cache, List.of(0), Double.POSITIVE_INFINITY, policies), (_, _) -> {})
        .closed();
  }

  private static Map<Trace.Run, Integer> numbers(Trace trace) {
    Map<String, Integer> seen = new HashMap<>();
    Map<Trace.Run, Integer> numbers = new HashMap<>();
    for (Trace.Run run : trace.runs()) {
      numbers.put(run, seen.merge(run.program(), 1, Integer::sum));
    }
    return numbers;
  }

  private static Stream<ClosedLoop.RunResult> runs(
      ClosedReport report, String policy, Predicate<Trace.Run> which) {
    return report.row(policy).result().runs().stream().filter(run -> which.test(run.run()));
  }

  private static double stall(ClosedReport report, String policy, Predicate<Trace.Run> which) {
    return runs(report, policy, which).mapToLong(ClosedLoop.RunResult::stallNanos).sum();
  }

  private static double fetched(ClosedReport report, String policy, Predicate<Trace.Run> which) {
    return runs(report, policy, which).mapToLong(ClosedLoop.RunResult::fetched).sum();
  }

  private static double without(ClosedReport report, Predicate<Trace.Run> which) {
    return report.fetchedWithout().entrySet().stream()
        .filter(entry -> which.test(entry.getKey()))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  private static double bits(ClosedReport report, String policy) {
    double reads = runs(report, policy, _ -> true).mapToLong(ClosedLoop.RunResult::reads).sum();
    return runs(report, policy, _ -> true)
            .mapToDouble(run -> run.bitsPerAccess() * run.reads())
            .sum()
        / reads;
  }

  // ---- what a forecast costs

  private void checkCost() throws IOException {
    for (String name : List.of("sqlite64k", "P6")) {
      Trace trace = SimulatorGate.trace(folder, name);
      int capacity = FIVE_PERCENT.pages(trace);
      int lead = 2;
      // The first passes are the compiler's, and others on the machine only make a pass dearer.
      ForecastAlone alone = alone(trace, capacity, lead);
      for (int pass = 1; pass < PASSES; pass++) {
        ForecastAlone again = alone(trace, capacity, lead);
        alone = again.microsPerRequest() < alone.microsPerRequest() ? again : alone;
      }
      Policy peer =
          Choice.of("markov1")
              .policy(
                  new Place(
                      trace, capacity, lead, Thresholds.all(Thresholds.DEFAULT), Limits.DEFAULT));
      double markov = new OpenLoop(trace, peer, capacity, lead).run().cpuMicrosPerRequest();
      double pages = (double) trace.pages() / trace.requests();
      check(
          name + ": microseconds an access, the forecaster alone",
          alone.microsPerRequest() / pages,
          MOST_MICROS);
      checks.accept(
          new Check(
              name + ": the same / order-1 Markov's with its cache",
              alone.microsPerRequest() / markov,
              "to be seen",
              true));
      check(name + ": bytes allocated a request in steady state", alone.bytesPerRequest(), .5);
      check(name + ": MB of memory", alone.modelBytes() / 1e6, MOST_MEGABYTES);
    }
  }

  private static ForecastAlone alone(Trace trace, int capacity, int lead) {
    ForecastAlone alone =
        new ForecastAlone(
            (lead + 1) * OpenLoop.REQUEST_NANOS, Math.max(1, capacity / 4), trace.requests());
    new OpenLoop(trace, alone, capacity, lead).run();
    return alone;
  }

  private void check(String what, double value, double most) {
    checks.accept(Check.atMost(what, value, most));
  }

  private static Options options(
      CacheSize cache, List<Integer> leads, double budget, String... policies) {
    return new Options(
        Stream.of(policies).map(Choice::of).toList(),
        List.of(cache),
        leads,
        budget,
        Thresholds.DEFAULT,
        Limits.DEFAULT.horizon(),
        Duration.ofMillis(10),
        32,
        true);
  }
}
