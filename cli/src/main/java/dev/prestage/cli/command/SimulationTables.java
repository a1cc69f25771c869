package dev.prestage.cli.command;

import dev.prestage.simulator.policy.Calibration;
import dev.prestage.simulator.policy.Setting;
import dev.prestage.simulator.replay.ClosedLoop;
import dev.prestage.simulator.replay.OpenLoop;
import dev.prestage.simulator.report.CacheSize;
import dev.prestage.simulator.report.ClosedReport;
import dev.prestage.simulator.report.OpenReport;
import dev.prestage.simulator.report.Options;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Reports of simulations as tables for a terminal.
final class SimulationTables {
  /// Starts of a program that have a column of their own.
  private static final int STARTS = 4;

  private SimulationTables() {}

  static void print(OpenReport report, Options options, PrintStream out) {
    for (CacheSize cache : options.caches()) {
      for (int lead : options.leads()) {
        out.printf(
            "cache %s, %,d pages; a fetch is usable %s%n",
            cache,
            cache.pages(report.trace()),
            lead == 0 ? "at the next request" : lead + " requests after the next one");
        Table table =
            new Table(
                "POLICY",
                "MISS",
                "REQUEST MISS",
                "PRECISION",
                "USELESS",
                "ISSUED",
                "BITS",
                "NEXT",
                "CPU",
                "P99",
                "MODEL");
        for (OpenReport.Row row : report.rows()) {
          if (row.cache().equals(cache) && row.lead() == lead) {
            OpenLoop.Result result = row.result();
            boolean fetches = result.issued() > 0;
            table.row(
                label(row.policy(), row.setting(), options) + (row.withinBudget() ? "" : " !"),
                ratio(result.demandMissRatio()),
                ratio(result.requestMissRatio()),
                fetches ? "%.2f".formatted(result.precision()) : "-",
                fetches ? "%.3f".formatted(result.uselessPerDemandPage()) : "-",
                fetches ? "%d".formatted(result.issued()) : "-",
                number(result.bitsPerAccess()),
                number(result.nextAccuracy()),
                "%.1f us".formatted(result.cpuMicrosPerRequest()),
                "%.1f us".formatted(result.policyP99Micros()),
                bytes(result.modelBytes()));
          }
        }
        table.print(out);
        out.println();
      }
    }
    legend(options, out);
    print(report.calibration(), out);
  }

  static void print(ClosedReport report, Options options, PrintStream out) {
    out.printf(
        Locale.ROOT,
        "cache %s; origin %d ms away, %d fetches ahead in flight%s; stall in seconds, by start of a program%n",
        options.caches().getFirst(),
        options.originLatency().toMillis(),
        options.inFlight(),
        options.cold() ? ", each run on a new host" : "");
    Table table =
        new Table(
            "POLICY", "STALL", "1ST", "2ND", "3RD", "4TH", "LATER", "WAITS", "TRAFFIC", "USELESS",
            "BITS", "NEXT", "CPU", "MODEL");
    for (ClosedReport.Row row : report.rows()) {
      ClosedLoop.Result result = row.result();
      List<Object> cells = new ArrayList<>();
      cells.add(label(row.policy(), row.setting(), options) + (row.withinBudget() ? "" : " !"));
      cells.add(seconds(result.stallNanos()));
      for (long stall : byStart(result)) {
        cells.add(seconds(stall));
      }
      cells.add(percent(mean(result, run -> run.waited()) / mean(result, run -> run.reads())));
      cells.add(percent(report.trafficShare(result)));
      cells.add("%.3f".formatted(result.uselessPerDemandPage()));
      double reads = mean(result, run -> run.reads());
      double bits = mean(result, run -> run.bitsPerAccess() * run.reads()) / reads;
      double accuracy = mean(result, run -> run.nextAccuracy() * run.reads()) / reads;
      cells.add(number(result.foretells() ? bits : Double.NaN));
      cells.add(number(result.foretells() ? accuracy : Double.NaN));
      cells.add("%.1f us".formatted(result.cpuMicrosPerRequest()));
      cells.add(bytes(result.modelBytes()));
      table.row(cells.toArray());
    }
    table.print(out);
    out.println();
    legend(options, out);
    print(report.calibration(), out);
  }

  /// The stall of all first starts of a program, of all second ones and so on; the last is the
  /// rest.
  private static long[] byStart(ClosedLoop.Result result) {
    long[] stalls = new long[STARTS + 1];
    Map<String, Integer> starts = new HashMap<>();
    for (ClosedLoop.RunResult run : result.runs()) {
      int start = starts.merge(run.run().program(), 1, Integer::sum);
      stalls[Math.min(start - 1, STARTS)] += run.stallNanos();
    }
    return stalls;
  }

  private interface Quantity {
    double of(ClosedLoop.RunResult run);
  }

  private static double mean(ClosedLoop.Result result, Quantity quantity) {
    return result.runs().stream().mapToDouble(quantity::of).average().orElse(0);
  }

  private static String label(String policy, Setting setting, Options options) {
    boolean searched = options.hasBudget() && !setting.values().isEmpty() && !policy.contains(":");
    return searched ? policy + ":" + setting : policy;
  }

  private static void legend(Options options, PrintStream out) {
    if (options.hasBudget()) {
      out.printf(
          Locale.ROOT,
          "budget: %s pages fetched in vain per demanded page; peers with their best setting within it, in hindsight; ! = none is within it%n",
          options.uselessBudget());
    }
  }

  private static void print(Calibration.@Nullable Summary calibration, PrintStream out) {
    if (calibration != null && !calibration.bins().isEmpty()) {
      out.printf(
          Locale.ROOT,
          "prestage's probabilities: calibration error %.3f, log loss %.3f, Brier skill %.3f%n",
          calibration.ece(),
          calibration.logLoss(),
          calibration.brierSkill());
    }
  }

  private static String ratio(double ratio) {
    return String.format(Locale.ROOT, "%.4f", ratio);
  }

  private static String number(double number) {
    return Double.isNaN(number) ? "-" : String.format(Locale.ROOT, "%.2f", number);
  }

  private static String percent(double share) {
    return String.format(Locale.ROOT, "%.1f %%", 100 * share);
  }

  private static String seconds(long nanos) {
    return String.format(Locale.ROOT, "%.2f", nanos / 1e9);
  }

  private static String bytes(long bytes) {
    return bytes == 0 ? "-" : String.format(Locale.ROOT, "%.1f MB", bytes / 1e6);
  }
}
