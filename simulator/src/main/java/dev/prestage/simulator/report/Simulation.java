package dev.prestage.simulator.report;

import dev.prestage.simulator.policy.Calibration;
import dev.prestage.simulator.policy.Choice;
import dev.prestage.simulator.policy.Place;
import dev.prestage.simulator.policy.Policy;
import dev.prestage.simulator.policy.Prestage;
import dev.prestage.simulator.replay.CacheLoop;
import dev.prestage.simulator.replay.ClosedLoop;
import dev.prestage.simulator.replay.OpenLoop;
import dev.prestage.simulator.trace.Trace;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/// Runs the policies of a comparison over one trace, as many rows at once as there are processors.
///
/// Where a budget is set, the product keeps it by itself in its one pass. For a peer with knobs
/// each setting is run, and the best of those within the budget counts: a choice in hindsight,
/// which favours the peer.
public final class Simulation {
  private final Trace trace;
  private final Options options;
  private final RowProgress progress;

  /// Hears how far a comparison is.
  @FunctionalInterface
  public interface RowProgress {
    /// So many rows of all are done.
    void done(int rows, int all);
  }

  public Simulation(Trace trace, Options options, RowProgress progress) {
    this.trace = trace;
    this.options = options;
    this.progress = progress;
  }

  /// A row and, where the product made it, how its probabilities compare with what came.
  private record Made<R>(R row, Calibration.@Nullable Summary calibration) {}

  /// Compares in open loop.
  public OpenReport open() throws InterruptedException {
    List<Callable<Made<OpenReport.Row>>> tasks = new ArrayList<>();
    for (CacheSize cache : options.caches()) {
      for (int lead : options.leads()) {
        for (Choice choice : options.choices()) {
          // Nothing is fetched ahead in a cache, so its lead does not matter: one row is repeated.
          if (!choice.isCache() || lead == options.leads().getFirst()) {
            tasks.add(() -> open(choice, cache, lead));
          }
        }
      }
    }
    List<Made<OpenReport.Row>> made = all(tasks);
    List<OpenReport.Row> rows = new ArrayList<>();
    for (CacheSize cache : options.caches()) {
      for (int lead : options.leads()) {
        for (Choice choice : options.choices()) {
          rows.add(rowOf(made, choice, cache, lead));
        }
      }
    }
    return new OpenReport(trace, List.copyOf(rows), calibration(made));
  }

  private OpenReport.Row rowOf(
      List<Made<OpenReport.Row>> made, Choice choice, CacheSize cache, int lead) {
    for (Made<OpenReport.Row> one : made) {
      OpenReport.Row row = one.row();
      if (row.policy().equals(choice.name())
          && row.cache().equals(cache)
          && (row.lead() == lead || choice.isCache())) {
        return new OpenReport.Row(
            row.policy(), row.setting(), cache, lead, row.withinBudget(), row.result());
      }
    }
    throw new IllegalStateException("no row was made for " + choice.name());
  }

  private Made<OpenReport.Row> open(Choice choice, CacheSize cache, int lead) {
    Place place = options.open(trace, cache, lead);
    if (choice.isCache()) {
      OpenLoop.Result result = CacheLoop.run(trace, choice.cache(place));
      return new Made<>(
          new OpenReport.Row(choice.name(), choice.setting(), cache, lead, true, result), null);
    }
    List<Made<OpenReport.Row>> tried = new ArrayList<>();
    for (Choice alternative : alternatives(choice)) {
      Policy policy = alternative.policy(place);
      OpenLoop.Result result = new OpenLoop(trace, policy, place.capacityPages(), lead).run();
      boolean within = result.uselessPerDemandPage() <= options.uselessBudget();
      tried.add(
          new Made<>(
              new OpenReport.Row(choice.name(), alternative.setting(), cache, lead, within, result),
              calibration(policy)));
    }
    return best(
        tried,
        Comparator.comparing((OpenReport.Row row) -> !row.withinBudget())
            .thenComparingDouble(row ->
                row.withinBudget()
                    ? row.result().demandMissRatio()
                    : row.result().uselessPerDemandPage()));
  }

  /// Compares in closed loop.
  public ClosedReport closed() throws InterruptedException {
    List<Callable<Made<ClosedReport.Row>>> tasks = new ArrayList<>();
    tasks.add(() -> closed(Choice.of("none")));
    for (Choice choice : options.choices()) {
      if (!choice.name().equals("none")) {
        tasks.add(() -> closed(choice));
      }
    }
    List<Made<ClosedReport.Row>> made = all(tasks);
    Map<Trace.Run, Long> fetchedWithout = new HashMap<>();
    for (ClosedLoop.RunResult run : made.getFirst().row().result().runs()) {
      fetchedWithout.put(run.run(), run.fetched());
    }
    List<ClosedReport.Row> rows = made.stream().map(Made::row).toList();
    return new ClosedReport(trace, rows, fetchedWithout, calibration(made));
  }

  private Made<ClosedReport.Row> closed(Choice choice) {
    Place place = options.closed(trace);
    List<Made<ClosedReport.Row>> tried = new ArrayList<>();
    for (Choice alternative : alternatives(choice)) {
      Policy policy = alternative.policy(place);
      ClosedLoop.Result result = new ClosedLoop(trace, policy, options.setup(trace)).run();
      boolean within = result.uselessPerDemandPage() <= options.uselessBudget();
      tried.add(
          new Made<>(
              new ClosedReport.Row(choice.name(), alternative.setting(), within, result),
              calibration(policy)));
    }
    return best(
        tried,
        Comparator.comparing((ClosedReport.Row row) -> !row.withinBudget())
            .thenComparingDouble(row ->
                row.withinBudget()
                    ? row.result().stallNanos()
                    : row.result().uselessPerDemandPage()));
  }

  private List<Choice> alternatives(Choice choice) {
    return options.hasBudget() ? choice.alternatives() : List.of(choice);
  }

  private static <R> Made<R> best(List<Made<R>> tried, Comparator<R> order) {
    return tried.stream().min(Comparator.comparing(Made::row, order)).orElseThrow();
  }

  private static Calibration.@Nullable Summary calibration(Policy policy) {
    return policy instanceof Prestage prestage ? prestage.calibration() : null;
  }

  private static <R> Calibration.@Nullable Summary calibration(List<Made<R>> made) {
    for (Made<R> one : made) {
      if (one.calibration() != null) {
        return one.calibration();
      }
    }
    return null;
  }

  /// Runs all tasks; results are in their order.
  private <T> List<T> all(List<Callable<T>> tasks) throws InterruptedException {
    int threads = Runtime.getRuntime().availableProcessors();
    try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
      ExecutorCompletionService<T> completion = new ExecutorCompletionService<>(executor);
      List<Future<T>> futures = new ArrayList<>();
      tasks.forEach(task -> futures.add(completion.submit(task)));
      try {
        for (int done = 1; done <= futures.size(); done++) {
          completion.take().get();
          progress.done(done, futures.size());
        }
        List<T> results = new ArrayList<>();
        for (Future<T> future : futures) {
          results.add(future.get());
        }
        return results;
      } catch (ExecutionException e) {
        executor.shutdownNow();
        throw new IllegalStateException("a policy failed: " + e.getCause(), e.getCause());
      }
    }
  }
}
