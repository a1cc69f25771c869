package dev.prestage.cli.command;

import dev.prestage.simulator.policy.Calibration;
import dev.prestage.simulator.policy.Setting;
import dev.prestage.simulator.replay.ClosedLoop;
import dev.prestage.simulator.replay.OpenLoop;
import dev.prestage.simulator.report.CacheSize;
import dev.prestage.simulator.report.ClosedReport;
import dev.prestage.simulator.report.OpenReport;
import dev.prestage.simulator.report.Options;
import dev.prestage.simulator.trace.Trace;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Reports of simulations as tables for a terminal.
final class SimulationTables {
  /// The columns of a program's starts; the last is the rest.
  private static final List<String> STARTS = List.of("1ST", "2ND", "3RD", "4TH", "LATER");

  private static final List<String> OPEN_LEGEND =
      List.of(
          "MISS: share of the demanded pages that were not there; REQUEST MISS: of the requests, one page missing counts",
          "ISSUED: pages fetched ahead; PRECISION: share of these that was used; USELESS: the others, per demanded page");

  private static final List<String> CLOSED_LEGEND =
      List.of(
          "STALL: seconds for which programs waited; 1ST, 2ND, ...: in all first starts of a program, all second ones",
          "WAITS: share of the demanded pages that was waited for; TRAFFIC: pages fetched, 100 % = without prefetch",
          "USELESS: pages fetched ahead and not used, per demanded page");

  private static final List<String> LEGEND =
      List.of(
          "BITS: what the next access costs the policy's forecast, 13.29 = no idea; NEXT: share that it foretold",
          "CPU: of policy and simulation, per request; P99: the policy's slowest hundredth; MODEL: what was learnt");

  private SimulationTables() {}

  static void print(OpenReport report, Options options, PrintStream out) {
    for (CacheSize cache : options.caches()) {
      for (int lead : options.leads()) {
        out.printf(
            "cache %s; lead %d: a fetched page is usable %s%n",
            described(cache, report.trace()), lead, usable(lead));
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
                fetches ? number(result.precision()) : "-",
                fetches ? thousandths(result.uselessPerDemandPage()) : "-",
                fetches ? Long.toString(result.issued()) : "-",
                number(result.bitsPerAccess()),
                number(result.nextAccuracy()),
                micros(result.cpuMicrosPerRequest()),
                micros(result.policyP99Micros()),
                bytes(result.modelBytes()));
          }
        }
        table.print(out);
        out.println();
      }
    }
    budget(options, out);
    print(report.calibration(), out);
  }

  static void print(ClosedReport report, Options options, PrintStream out) {
    out.printf(
        Locale.ROOT,
        "cache %s; origin %s ms away, %d fetches ahead in flight%s%n",
        described(options.caches().getFirst(), report.trace()),
        BigDecimal.valueOf(options.originLatency().toNanos(), 6)
            .stripTrailingZeros()
            .toPlainString(),
        options.inFlight(),
        options.cold() ? ", each run on a new host" : "");
    int starts = mostStarts(report.trace());
    List<String> heads = new ArrayList<>(List.of("POLICY", "STALL"));
    if (starts > 1) {
      heads.addAll(STARTS.subList(0, Math.min(starts, STARTS.size())));
    }
    Collections.addAll(heads, "WAITS", "TRAFFIC", "USELESS", "BITS", "NEXT", "CPU", "P99", "MODEL");
    Table table = new Table(heads.toArray(String[]::new));
    for (ClosedReport.Row row : report.rows()) {
      ClosedLoop.Result result = row.result();
      List<Object> cells = new ArrayList<>();
      cells.add(label(row.policy(), row.setting(), options) + (row.withinBudget() ? "" : " !"));
      cells.add(seconds(result.stallNanos()));
      if (starts > 1) {
        long[] stalls = byStart(result);
        for (int start = 0; start < Math.min(starts, STARTS.size()); start++) {
          cells.add(seconds(stalls[start]));
        }
      }
      cells.add(percent(mean(result, run -> run.waited()) / mean(result, run -> run.reads())));
      cells.add(percent(report.trafficShare(result)));
      cells.add(thousandths(result.uselessPerDemandPage()));
      double reads = mean(result, run -> run.reads());
      double bits = mean(result, run -> run.bitsPerAccess() * run.reads()) / reads;
      double accuracy = mean(result, run -> run.nextAccuracy() * run.reads()) / reads;
      cells.add(number(result.foretells() ? bits : Double.NaN));
      cells.add(number(result.foretells() ? accuracy : Double.NaN));
      cells.add(micros(result.cpuMicrosPerRequest()));
      cells.add(micros(result.policyP99Micros()));
      cells.add(bytes(result.modelBytes()));
      table.row(cells.toArray());
    }
    table.print(out);
    out.println();
    budget(options, out);
    print(report.calibration(), out);
  }

  /// How often the program that starts most often does.
  private static int mostStarts(Trace trace) {
    Map<String, Integer> starts = new HashMap<>();
    trace.runs().forEach(run -> starts.merge(run.program(), 1, Integer::sum));
    return starts.values().stream().mapToInt(Integer::intValue).max().orElse(0);
  }

  /// The stall of all first starts of a program, of all second ones and so on; the last is the
  /// rest.
  private static long[] byStart(ClosedLoop.Result result) {
    long[] stalls = new long[STARTS.size()];
    Map<String, Integer> starts = new HashMap<>();
    for (ClosedLoop.RunResult run : result.runs()) {
      int start = starts.merge(run.run().program(), 1, Integer::sum);
      stalls[Math.min(start, STARTS.size()) - 1] += run.stallNanos();
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

  /// What the columns say.
  static void legend(boolean closedLoop, PrintStream out) {
    (closedLoop ? CLOSED_LEGEND : OPEN_LEGEND).forEach(out::println);
    LEGEND.forEach(out::println);
  }

  private static String described(CacheSize cache, Trace trace) {
    return cache.equals(CacheSize.UNLIMITED)
        ? "unlimited"
        : String.format(Locale.ROOT, "%s, %,d pages", cache, cache.pages(trace));
  }

  private static String usable(int lead) {
    return switch (lead) {
      case 0 -> "at the next request";
      case 1 -> "1 request after the next one";
      default -> lead + " requests after the next one";
    };
  }

  private static void budget(Options options, PrintStream out) {
    if (options.hasBudget()) {
      out.printf(
          Locale.ROOT,
          "budget: %s pages fetched in vain per demanded page; peers with their best setting within it, in hindsight; ! = none is within it%n",
          options.uselessBudget());
      out.println();
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
      out.println();
    }
  }

  private static String ratio(double ratio) {
    return String.format(Locale.ROOT, "%.4f", ratio);
  }

  private static String thousandths(double number) {
    return String.format(Locale.ROOT, "%.3f", number);
  }

  private static String micros(double micros) {
    return String.format(Locale.ROOT, "%.1f us", micros);
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
