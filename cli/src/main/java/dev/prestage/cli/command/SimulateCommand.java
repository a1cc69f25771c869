package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.prestage.simulator.policy.Policies;
import dev.prestage.simulator.report.ClosedReport;
import dev.prestage.simulator.report.JsonReport;
import dev.prestage.simulator.report.OpenReport;
import dev.prestage.simulator.report.Options;
import dev.prestage.simulator.report.Simulation;
import dev.prestage.simulator.trace.Trace;
import dev.prestage.simulator.trace.TraceFiles;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// `prestage simulate`: policies compared on recorded accesses.
///
/// Whatever can be found wrong is found before the first trace is read, because a run may take
/// minutes.
@Command(
    name = "simulate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Compare prefetching policies on recorded accesses.",
      "Open loop (the default): the miss ratio of one LRU cache, whatever misses. Closed loop: how long the programs wait."
    },
    footer = {
      "",
      "Examples:",
      "  prestage simulate disk.vscsi.zst --policies none,readahead,prestage --lead 2",
      "  prestage simulate starts64k.csv.zst --closed-loop --cold",
      "  prestage simulate disk.lis --useless-budget 0.25 --what-if cache=2x --json disk.json",
      "  prestage simulate --history --since 7d --closed-loop --policies none,prestage"
    })
public final class SimulateCommand implements Callable<Integer> {
  @Parameters(
      paramLabel = "FILE",
      arity = "0..*",
      description = "Traces, plain or as .zst, .gz or .xz. Each has its own table.")
  private List<Path> files = new ArrayList<>();

  @Mixin private HostHistory history = new HostHistory();

  @Spec private @Nullable CommandSpec spec;

  @Option(names = "--list", help = true, description = "List formats and policies, and end.")
  private boolean list;

  @Option(
      names = "--format",
      paramLabel = "NAME",
      defaultValue = TraceFiles.AUTO,
      description =
          "The format of the files. Default: auto, by name or beginning. See @|bold --list|@.")
  private String format = TraceFiles.AUTO;

  @Option(
      names = "--policies",
      paramLabel = "NAMES",
      description =
          "What to compare, with commas between; knobs behind a colon, several peers as one by +: "
              + "next-n:n=16,markov-lag:lags=2:count=2,markov-lag+next-n. Default: all. See @|bold --list|@.")
  private @Nullable String policies;

  @Option(
      names = "--cache",
      paramLabel = "SIZES",
      description =
          "Of the cache, in percent of the distinct pages, or unlimited. Default: 5%% in open loop, unlimited in closed loop. The open loop takes several.")
  private @Nullable String cache;

  @Option(
      names = "--useless-budget",
      paramLabel = "SHARE",
      description =
          "How many pages may be fetched in vain for each demanded one, such as 0.25. The product keeps it while it runs; for peers the best setting within it is searched afterwards. Default: none, all run as they are.")
  private @Nullable String uselessBudget;

  @Option(
      names = "--threshold",
      paramLabel = "PROBABILITY",
      description =
          "From which on the product fetches, 0 to 1, or auto: what pays by measured latency, traffic and evictions. Default: 0.25.")
  private @Nullable String threshold;

  @Option(
      names = "--lead",
      paramLabel = "REQUESTS",
      description =
          "Open loop: how many requests later than the next one a fetched page is usable. Default: 0,2,8.")
  private @Nullable String lead;

  @Option(
      names = "--closed-loop",
      description = "Programs wait for what is not there, and all that follows comes later.")
  private boolean closedLoop;

  @Option(
      names = "--origin-latency",
      paramLabel = "TIME",
      description = "Closed loop: how long each fetch takes. Default: 10ms.")
  private @Nullable String originLatency;

  @Option(
      names = "--in-flight",
      paramLabel = "PAGES",
      description = "Closed loop: how many are fetched ahead of demand at once. Default: 32.")
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
          "A second table with changes: cache=2x (twice as large), threshold=0.5 (the product's), horizon=10s (closed loop), or any of the options above by its name, as lead=4.")
  private @Nullable String whatIf;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Also write the tables as JSON, when all are done.")
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
      checkFormat();
      SimulationSettings settings = settings();
      options = settings.options();
      varied = whatIf == null ? null : settings.whatIf(whatIf).options();
    } catch (IllegalArgumentException e) {
      System.err.println("prestage: " + e.getMessage());
      return 2;
    }
    if (files.isEmpty() != history.isWanted()) {
      throw new ParameterException(
          Objects.requireNonNull(spec).commandLine(), "name either traces or --history");
    }
    checkFiles();
    JsonFile target = json == null ? null : JsonFile.at(json, files);
    ArrayNode reports = Json.MAPPER.createArrayNode();
    if (history.isWanted()) {
      reports.add(compared(history.read(this::read), options, varied, target));
    }
    for (Path file : files) {
      reports.add(compared(read(file), options, varied, target));
    }
    SimulationTables.legend(closedLoop, System.out);
    if (target != null) {
      target.write(reports.size() == 1 ? reports.get(0) : reports);
    }
    requireOutput();
    return 0;
  }

  private ObjectNode compared(
      Trace trace, Options options, @Nullable Options varied, @Nullable JsonFile target)
      throws IOException, InterruptedException {
    ObjectNode report = compare(trace, options, "");
    if (varied != null) {
      report.set("whatIf", compare(trace, varied, "; what if " + whatIf).put("changes", whatIf));
    }
    if (target == null) {
      requireOutput();
    }
    return report;
  }

  private void checkFormat() {
    List<String> names = TraceFiles.formats().stream().map(TraceFiles.Description::name).toList();
    if (!format.equals(TraceFiles.AUTO) && !names.contains(format)) {
      throw new IllegalArgumentException(
          "--format: there is no format '%s'; there are %s, %s"
              .formatted(format, TraceFiles.AUTO, String.join(", ", names)));
    }
  }

  private void checkFiles() throws IOException {
    for (int i = 0; i < files.size(); i++) {
      Path file = files.get(i);
      if (!Files.exists(file)) {
        throw new NoSuchFileException(file.toString());
      }
      if (Files.isDirectory(file)) {
        throw new FileSystemException(file.toString(), null, "is a folder; name the traces in it");
      }
      if (!Files.isRegularFile(file)) {
        throw new FileSystemException(
            file.toString(), null, "is a pipe or a device; write what it gives to a file");
      }
      for (Path before : files.subList(0, i)) {
        if (Files.isSameFile(file, before)) {
          throw new FileSystemException(
              file.toString(),
              null,
              "is given twice" + (file.equals(before) ? "" : ", as " + before));
        }
      }
    }
  }

  private Trace read(Path file) throws IOException {
    Trace trace;
    try (Meter meter = new Meter("reading " + file.getFileName())) {
      trace = TraceFiles.read(file, format, meter::share);
    }
    for (String warning : trace.warnings()) {
      System.err.println("prestage: warning: " + file.getFileName() + ": " + warning);
    }
    return trace;
  }

  /// A reader who went away or a full disk must not look like success.
  private static void requireOutput() throws IOException {
    if (System.out.checkError()) {
      throw new IOException("the tables cannot be printed: the output is closed or full");
    }
  }

  private ObjectNode compare(Trace trace, Options options, String variation)
      throws InterruptedException {
    System.out.printf(
        Locale.ROOT,
        "%s: %,d requests, %,d pages of %s, %,d distinct%s%n%n",
        trace.name(),
        trace.requests(),
        trace.pages(),
        trace.unitBytes() < 1024 ? trace.unitBytes() + " B" : trace.unitBytes() / 1024 + " KiB",
        trace.distinctPages(),
        variation);
    String what = "simulating " + trace.name();
    if (closedLoop) {
      ClosedReport report;
      try (Meter meter = new Meter(what)) {
        report = new Simulation(trace, options, meter::share).closed();
      }
      SimulationTables.print(report, options, System.out);
      return JsonReport.of(report);
    }
    OpenReport report;
    try (Meter meter = new Meter(what)) {
      report = new Simulation(trace, options, meter::share).open();
    }
    SimulationTables.print(report, options, System.out);
    return JsonReport.of(report);
  }

  private SimulationSettings settings() {
    SimulationSettings settings = new SimulationSettings(closedLoop);
    set(settings, "policies", policies);
    set(settings, "cache", cache);
    set(settings, "threshold", threshold);
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

  private static void listAll() {
    Table formats = new Table("FORMAT", "WHAT IT IS");
    TraceFiles.formats().forEach(known -> formats.row(known.name(), known.summary()));
    formats.print(System.out);
    System.out.println();
    Table known = new Table("POLICY", "WHAT IT DOES", "KNOBS", "A BUDGET'S SEARCH TRIES");
    for (Policies.Entry entry : Policies.ALL) {
      String knobs = "";
      String tried = "";
      if (entry instanceof Policies.Peer peer && peer.settings().size() > 1) {
        knobs = peer.settings().getFirst().toString();
        tried = peer.settings().stream().map(Object::toString).collect(Collectors.joining(" "));
      }
      known.row(entry.name(), entry.summary(), knobs, tried);
    }
    known.print(System.out);
  }
}
