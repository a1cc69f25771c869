package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/// What history knows: its rows, what they add up to, and all of them for other tools.
@Command(
    name = "history",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    description =
        "Accesses, oldest first; of more than the limit, the newest. The commands below say what"
            + " they add up to; their options stand after them.")
public final class HistoryCommand implements Callable<Integer> {
  private static final String LIMIT = "20";

  /// Longer than the API takes to say that a window is too long to be answered for.
  private static final Duration PATIENCE = Duration.ofSeconds(45);

  @Spec private @Nullable CommandSpec spec;

  @Option(names = "--program", description = "Only this program's.")
  private @Nullable String program;

  @Option(names = "--vm", description = "Only this VM's.")
  private @Nullable String vm;

  @Option(
      names = "--since",
      defaultValue = "1h",
      description = "From when: 2h (ago) or ISO-8601. Default: 1h.")
  private String since = "1h";

  @Option(names = "--until", description = "Until when: 30m (ago) or ISO-8601. Default: now.")
  private @Nullable String until;

  @Option(names = "--limit", defaultValue = LIMIT, description = "Rows. Default: 20.")
  private int limit;

  @Mixin private ApiOptions own = new ApiOptions();

  @Override
  public Integer call() throws IOException {
    String path =
        "/v1/history?limit="
            + limit
            + "&since="
            + PrestageClient.encode(since)
            + (until == null ? "" : "&until=" + PrestageClient.encode(until))
            + (program == null ? "" : "&program=" + PrestageClient.encode(program))
            + (vm == null ? "" : "&vm=" + PrestageClient.encode(vm));
    try (PrestageClient client = own.client()) {
      JsonNode answer = own.parsed(client.get(path).text());
      if (answer != null) {
        Table table =
            new Table(
                "TIME",
                "PROGRAM",
                "VM",
                "TYPE",
                "RESOURCE",
                "ACCESS",
                "BYTES",
                "CAUSE",
                "WAITED",
                "LATENCY");
        for (JsonNode row : answer.path("rows")) {
          table.row(
              time(row.path("timeNanos")),
              row.path("program").asText(),
              row.path("vm").asText(),
              row.path("type").asText(),
              row.path("space").asText() + "/" + row.path("resource").asLong(),
              row.path("access").asText(),
              row.path("sizeBytes").asInt(),
              row.path("cause").asText(),
              row.path("waited").asBoolean() ? "yes" : "no",
              "%.3f ms".formatted(row.path("latencyNanos").asLong() / 1e6));
        }
        table.print(System.out);
      }
    }
    return 0;
  }

  @Command(description = "What is touched most, how long, and how much of it waited.")
  int top(
      @Option(
              names = "--by",
              defaultValue = "resource",
              description = "Touches of each resource, program, vm or type. Default: resource.")
          String by,
      @Option(
              names = "--burst-gap",
              defaultValue = "1s",
              description = "How long a pause within one burst of touches may be. Default: 1s.")
          String burstGap,
      @Option(names = "--limit", defaultValue = LIMIT, description = "Rows. Default: 20.") int rows,
      @Mixin HistoryWindow window,
      @Mixin ApiOptions api)
      throws IOException {
    JsonNode answer = ask(api, window.path("top", "by", by, "burstGap", burstGap, "limit", rows));
    if (answer == null) {
      return 0;
    }
    Table table =
        new Table(
            answer.path("by").asText().toUpperCase(Locale.ROOT),
            "TOUCHES",
            "WAITED",
            "P50",
            "P90",
            "P99",
            "FIRST",
            "LAST",
            "BURSTS",
            "IN USE",
            "GAP");
    for (JsonNode row : answer.path("rows")) {
      table.row(
          row.path("name").asText(),
          row.path("touches").asLong(),
          percent(row.path("waitedShare")),
          millis(row.path("latencyP50Nanos")),
          millis(row.path("latencyP90Nanos")),
          millis(row.path("latencyP99Nanos")),
          timeToMillis(row.path("firstTimeNanos")),
          timeToMillis(row.path("lastTimeNanos")),
          row.path("bursts").asLong(),
          millis(row.path("inUseNanos")),
          millis(row.path("gapP50Nanos")));
    }
    table.print(System.out);
    System.out.printf("%n%d touches in all%n", answer.path("touches").asLong());
    sayIfNotExact(answer);
    return 0;
  }

  @Command(description = "Touches, waits and different units by buckets of time.")
  int timeline(
      @Option(
              names = "--bucket",
              description = "The length of a bucket, such as 1m. Default: so that about 60 fit.")
          @Nullable String bucket,
      @Mixin HistoryWindow window,
      @Mixin ApiOptions api)
      throws IOException {
    JsonNode answer = ask(api, window.path("timeline", "bucket", bucket));
    if (answer == null) {
      return 0;
    }
    Table table = new Table("FROM", "TOUCHES", "WAITED", "UNITS", "P50", "P99");
    for (JsonNode row : answer.path("rows")) {
      table.row(
          time(row.path("timeNanos")),
          row.path("touches").asLong(),
          row.path("waited").asLong(),
          row.path("units").asLong(),
          millis(row.path("latencyP50Nanos")),
          millis(row.path("latencyP99Nanos")));
    }
    table.print(System.out);
    sayIfNotExact(answer);
    return 0;
  }

  @Command(description = "Which unit is touched after which in a run of a VM, and how probably.")
  int transitions(
      @Option(names = "--limit", defaultValue = LIMIT, description = "Rows. Default: 20.") int rows,
      @Mixin HistoryWindow window,
      @Mixin ApiOptions api)
      throws IOException {
    JsonNode answer = ask(api, window.path("transitions", "limit", rows));
    if (answer == null) {
      return 0;
    }
    Table table = new Table("FROM", "TO", "COUNT", "PROBABILITY", "DELAY");
    for (JsonNode row : answer.path("rows")) {
      table.row(
          row.path("from").asText(),
          row.path("to").asText(),
          row.path("count").asLong(),
          "%.3f".formatted(row.path("probability").asDouble()),
          millis(row.path("delayP50Nanos")));
    }
    table.print(System.out);
    System.out.printf("%n%d transitions in all%n", answer.path("transitions").asLong());
    sayOutsideRuns(answer);
    sayIfNotExact(answer);
    return 0;
  }

  @Command(
      description =
          "In which order units are touched in a run of a VM: stretches of consecutive units,"
              + " strides, and the most frequent three in a row.")
  int sequences(
      @Option(
              names = "--limit",
              defaultValue = "10",
              description = "Strides and threes, each. Default: 10.")
          int rows,
      @Mixin HistoryWindow window,
      @Mixin ApiOptions api)
      throws IOException {
    JsonNode answer = ask(api, window.path("sequences", "limit", rows));
    if (answer == null) {
      return 0;
    }
    Table stretches = new Table("STRETCH", "STRETCHES", "UNITS");
    for (JsonNode row : answer.path("stretches")) {
      long from = row.path("fromUnits").asLong();
      long to = row.path("toUnits").asLong();
      stretches.row(
          from == to ? String.valueOf(from) : from + " to " + to,
          row.path("stretches").asLong(),
          row.path("units").asLong());
    }
    stretches.print(System.out);
    System.out.println();
    Table strides = new Table("STRIDE", "COUNT", "SHARE");
    for (JsonNode row : answer.path("strides")) {
      strides.row(
          row.path("stride").asLong(), row.path("count").asLong(), percent(row.path("share")));
    }
    strides.print(System.out);
    System.out.println();
    Table threes = new Table("FIRST", "SECOND", "THIRD", "COUNT");
    for (JsonNode row : answer.path("ngrams")) {
      JsonNode resources = row.path("resources");
      threes.row(
          resources.path(0).asText(),
          resources.path(1).asText(),
          resources.path(2).asText(),
          row.path("count").asLong());
    }
    threes.print(System.out);
    System.out.printf("%n%d touches in runs%n", answer.path("touches").asLong());
    sayOutsideRuns(answer);
    sayIfNotExact(answer);
    return 0;
  }

  @Command(description = "All accesses of the window as CSV, oldest first.")
  int export(
      @Option(
              names = "--output",
              paramLabel = "FILE",
              description = "Where to: written whole, or not there. Default: standard output.")
          @Nullable Path output,
      @Mixin HistoryWindow window,
      @Mixin ApiOptions api)
      throws IOException {
    requireOptionsAfterCommand();
    if (api.json()) {
      throw new ParameterException(
          command().subcommands().get("export"), "export writes CSV, not JSON");
    }
    try (PrestageClient client = api.client()) {
      String path = window.path("export");
      if (output == null) {
        client.download(path, System.out);
        System.out.flush();
      } else {
        WholeFile.at(output, List.of()).write(out -> client.download(path, out));
      }
    }
    return 0;
  }

  private @Nullable JsonNode ask(ApiOptions api, String path) throws IOException {
    requireOptionsAfterCommand();
    try (PrestageClient client = api.client().withTimeout(PATIENCE)) {
      return api.parsed(client.get(path).text());
    }
  }

  /// What stands before a command would be for this one, which is not asked, and have no effect.
  private void requireOptionsAfterCommand() {
    var parsed = command().commandLine().getParseResult();
    if (!parsed.matchedOptions().isEmpty()) {
      CommandSpec asked = parsed.subcommand().commandSpec();
      throw new ParameterException(
          asked.commandLine(),
          parsed.matchedOptions().getFirst().longestName()
              + " stands before the command; write it after "
              + asked.name());
    }
  }

  private CommandSpec command() {
    if (spec == null) {
      throw new IllegalStateException("not made by the command line");
    }
    return spec;
  }

  private static void sayIfNotExact(JsonNode answer) {
    if (!answer.path("exact").asBoolean()) {
      System.out.println(
          "too many different ones to count each: counts are lower bounds; narrow it with --program,"
              + " --vm, --type or a shorter time");
    }
  }

  private static void sayOutsideRuns(JsonNode answer) {
    long outside = answer.path("outsideRuns").asLong();
    if (outside > 0) {
      System.out.printf("%d touches belong to no run and are left out%n", outside);
    }
  }

  private static String time(JsonNode nanos) {
    long value = nanos.asLong();
    return Instant.ofEpochSecond(value / 1_000_000_000, value % 1_000_000_000).toString();
  }

  private static String timeToMillis(JsonNode nanos) {
    return Instant.ofEpochMilli(nanos.asLong() / 1_000_000).toString();
  }

  private static String millis(JsonNode nanos) {
    return "%.3f ms".formatted(nanos.asLong() / 1e6);
  }

  private static String percent(JsonNode share) {
    return "%.1f %%".formatted(share.asDouble() * 100);
  }
}
