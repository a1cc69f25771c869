package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.simulator.policy.Choice;
import dev.prestage.simulator.policy.Policies;
import dev.prestage.simulator.report.ClosedReport;
import dev.prestage.simulator.report.JsonReport;
import dev.prestage.simulator.report.OpenReport;
import dev.prestage.simulator.report.Options;
import dev.prestage.simulator.report.Simulation;
import dev.prestage.simulator.trace.Trace;
import dev.prestage.simulator.trace.TraceFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `prestage simulate`: policies compared on recorded accesses.
@Command(
    name = "simulate",
    sortOptions = false,
    description = {
      "Compare prefetching policies on recorded accesses.",
      "Open loop (the default): the miss ratio of one LRU cache, whatever misses. Closed loop: how long the programs wait."
    })
public final class SimulateCommand implements Callable<Integer> {
  @Parameters(
      paramLabel = "FILE",
      arity = "1..*",
      description = "Traces, plain or as .zst, .gz or .xz; each has its own table.")
  private List<Path> files = new ArrayList<>();

  @Option(
      names = "--format",
      defaultValue = TraceFiles.AUTO,
      description = "The format of the files; --list says which there are. Default: auto.")
  private String format = TraceFiles.AUTO;

  @Option(
      names = "--policies",
      description =
          "Comma-separated; knobs behind a colon, peers joined by +: next-n:n=16,markov-lag+next-n. Default: all. "
              + "@|bold --list|@ says which there are.")
  private @Nullable String policies;

  @Option(names = "--list", help = true, description = "List formats and policies.")
  private boolean list;

  @Option(
      names = "--cache",
      description =
          "Size of the cache, in percent of the distinct pages. Default: 5%% in open loop, unlimited in closed loop.")
  private @Nullable String cache;

  @Option(
      names = "--lead",
      description = "Open loop: requests until a fetched page is usable. Default: 0,2,8.")
  private @Nullable String lead;

  @Option(
      names = "--useless-budget",
      description =
          "Pages that may be fetched in vain per demanded page. The product keeps it while it runs; for peers the best setting within it is searched.")
  private @Nullable String uselessBudget;

  @Option(names = "--closed-loop", description = "Programs wait for what is not there.")
  private boolean closedLoop;

  @Option(names = "--origin-latency", description = "Closed loop: of each fetch. Default: 10ms.")
  private @Nullable String originLatency;

  @Option(
      names = "--in-flight",
      description = "Closed loop: fetches ahead of demand at once. Default: 32.")
  private @Nullable String inFlight;

  @Option(
      names = "--cold",
      description =
          "Closed loop: each run starts on a new host, which has the model but not the bytes.")
  private boolean cold;

  @Option(
      names = "--what-if",
      paramLabel = "CHANGES",
      description =
          "A second table for a variation: cache=2x,threshold=0.5 and any option above by its name.")
  private @Nullable String whatIf;

  @Option(names = "--json", paramLabel = "FILE", description = "Also write the tables as JSON.")
  private @Nullable Path json;

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (list) {
      listAll();
      return 0;
    }
    Options options;
    Options varied;
    try {
      SimulationSettings settings = settings();
      options = settings.options();
      varied = whatIf == null ? null : settings.whatIf(whatIf).options();
      if (closedLoop) {
        refuseCaches(options);
      }
    } catch (IllegalArgumentException e) {
      System.err.println("prestage: " + e.getMessage());
      return 2;
    }
    ArrayNode reports = ApiOptions.JSON.createArrayNode();
    for (Path file : files) {
      Trace trace;
      try (Meter meter = new Meter("reading " + file.getFileName())) {
        trace = TraceFiles.read(file, format, meter::share);
      }
      trace.warnings().forEach(warning -> System.err.println("warning: " + warning));
      ObjectNode report = compare(trace, options, "");
      if (varied != null) {
        report.set("whatIf", compare(trace, varied, ", what if " + whatIf).put("changes", whatIf));
      }
      reports.add(report);
    }
    if (json != null) {
      JsonNode all = reports.size() == 1 ? reports.get(0) : reports;
      Files.writeString(json, all.toPrettyString() + System.lineSeparator());
    }
    return 0;
  }

  private ObjectNode compare(Trace trace, Options options, String variation)
      throws InterruptedException {
    System.out.printf(
        "%n%s: %,d requests, %,d pages of %d KiB, %,d distinct%s%n%n",
        trace.name(),
        trace.requests(),
        trace.pages(),
        trace.unitBytes() / 1024,
        trace.distinctPages(),
        variation);
    if (closedLoop) {
      ClosedReport report;
      try (Meter meter = new Meter("simulating")) {
        report = new Simulation(trace, options, meter::share).closed();
      }
      SimulationTables.print(report, options, System.out);
      return JsonReport.of(report);
    }
    OpenReport report;
    try (Meter meter = new Meter("simulating")) {
      report = new Simulation(trace, options, meter::share).open();
    }
    SimulationTables.print(report, options, System.out);
    return JsonReport.of(report);
  }

  private SimulationSettings settings() {
    SimulationSettings settings = new SimulationSettings(closedLoop);
    set(settings, "policies", policies);
    set(settings, "cache", cache);
    set(settings, "lead", lead);
    set(settings, "useless-budget", uselessBudget);
    set(settings, "origin-latency", originLatency);
    set(settings, "in-flight", inFlight);
    set(settings, "cold", cold ? "yes" : null);
    return settings;
  }

  private static void set(SimulationSettings settings, String name, @Nullable String text) {
    if (text != null) {
      settings.set(name, text);
    }
  }

  private static void refuseCaches(Options options) {
    for (Choice choice : options.choices()) {
      if (choice.isCache()) {
        throw new IllegalArgumentException(
            "--policies: "
                + choice.name()
                + " is a cache without prefetch, for the open loop; in closed loop 'none' is LRU");
      }
    }
  }

  private static void listAll() {
    Table formats = new Table("FORMAT", "WHAT IT IS");
    TraceFiles.formats().forEach(known -> formats.row(known.name(), known.summary()));
    formats.print(System.out);
    System.out.println();
    Table known = new Table("POLICY", "WHAT IT DOES", "KNOBS");
    for (Policies.Entry entry : Policies.ALL) {
      String knobs =
          entry instanceof Policies.Peer peer ? peer.settings().getFirst().toString() : "";
      known.row(entry.name(), entry.summary(), knobs);
    }
    known.print(System.out);
  }
}
