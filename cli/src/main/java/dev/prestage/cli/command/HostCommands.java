package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// What a running Prestage can be asked about its host, a command each.
@Command(addMethodSubcommands = false)
abstract class HostCommands {
  @Command(
      mixinStandardHelpOptions = true,
      description = "Whether all parts work. Exit code 1 when one does not.")
  int health(@Mixin ApiOptions api) throws IOException {
    try (PrestageClient client = api.client()) {
      String text = client.get("/health").text();
      JsonNode answer = api.parsed(text);
      if (answer != null) {
        Table table = new Table("PART", "STATE");
        for (Map.Entry<String, JsonNode> part : answer.path("parts").properties()) {
          table.row(part.getKey(), part.getValue().asText());
        }
        table.row("predicting", predicting(answer));
        table.print(System.out);
      }
      return Json.MAPPER.readTree(text).path("status").asText().equals("ok") ? 0 : 1;
    }
  }

  static String predicting(JsonNode health) {
    if (!health.path("predicting").asBoolean()) {
      return "off";
    }
    return health.path("dryRun").asBoolean() ? "dry run" : "on";
  }

  @Command(
      mixinStandardHelpOptions = true,
      description = "Predict and stage (on), or only serve (off).")
  int predict(
      @Parameters(paramLabel = "on|off", description = "The new state.") String state,
      @Mixin ApiOptions api)
      throws IOException {
    if (!state.equals("on") && !state.equals("off")) {
      System.err.println("prestage: predict takes on or off, not '" + state + "'");
      return 2;
    }
    try (PrestageClient client = api.client()) {
      client.put("/v1/predicting", "{\"on\":" + state.equals("on") + "}");
    }
    return 0;
  }

  @Command(
      mixinStandardHelpOptions = true,
      description =
          "Take an allocation back: what is on its way for it is called off, unless the VM's program runs by now.")
  int release(
      @Parameters(paramLabel = "ALLOCATION", description = "The number that allocate said.")
          long allocation,
      @Mixin ApiOptions api)
      throws IOException {
    try (PrestageClient client = api.client()) {
      client.delete("/v1/allocations/" + allocation);
    }
    return 0;
  }

  @Command(
      mixinStandardHelpOptions = true,
      description = "Live leases, newest first, and the account of every staged unit.")
  int leases(
      @Option(names = "--vm", description = "Only this VM's.") @Nullable String vm,
      @Option(names = "--limit", defaultValue = "20", description = "Rows. Default: 20.") int limit,
      @Mixin ApiOptions api)
      throws IOException {
    String only = vm == null ? "" : "&vm=" + PrestageClient.encode(vm);
    try (PrestageClient client = api.client()) {
      JsonNode answer = api.parsed(client.get("/v1/leases?limit=" + limit + only).text());
      if (answer != null) {
        Table table =
            new Table(
                "LEASE", "VM", "PROGRAM", "AS", "SOURCE", "FIRST", "UNITS", "READY", "ENDED",
                "DUE");
        for (JsonNode lease : answer.path("leases")) {
          table.row(
              lease.path("lease").asLong(),
              lease.path("vm").asText(),
              lease.path("program").asText(),
              lease.path("as").asText(),
              lease.path("source").asText(),
              lease.path("first").asLong(),
              lease.path("units").asInt(),
              lease.path("ready").asInt(),
              lease.path("ended").asInt(),
              lease.path("due").asText());
        }
        table.print(System.out);
        JsonNode account = answer.path("account");
        StringBuilder line = new StringBuilder();
        for (Map.Entry<String, JsonNode> outcome : account.path("outcomes").properties()) {
          line.append(" + ")
              .append(outcome.getValue().asLong())
              .append(' ')
              .append(outcome.getKey());
        }
        System.out.printf(
            "%ngranted %d units = %d live%s; %d ranges queued%n",
            account.path("granted").asLong(),
            account.path("live").asLong(),
            line,
            account.path("queued").asLong());
      }
    }
    return 0;
  }

  @Command(
      mixinStandardHelpOptions = true,
      description =
          "How much of what a program's start is expected to touch this host holds, and what bringing the rest would take.")
  int rank(
      @Parameters(paramLabel = "PROGRAM") String program,
      @Option(names = "--tenant", description = "Whose it is. Default: default.")
          @Nullable String tenant,
      @Mixin ApiOptions api)
      throws IOException {
    String whose = tenant == null ? "" : "?tenant=" + PrestageClient.encode(tenant);
    try (PrestageClient client = api.client()) {
      String path = "/v1/programs/" + PrestageClient.encode(program) + "/rank" + whose;
      JsonNode answer = api.parsed(client.get(path).text());
      if (answer != null) {
        Table table = new Table("TYPE", "UNITS", "HERE", "UNKNOWN", "BYTES", "HERE", "SECONDS");
        for (JsonNode type : answer.path("types")) {
          table.row(
              type.path("type").asText(),
              type.path("units").asInt(),
              type.path("unitsHere").asInt(),
              type.path("unitsUnknown").asInt(),
              type.path("bytes").asLong(),
              type.path("bytesHere").asLong(),
              "%.3f".formatted(type.path("seconds").asDouble()));
        }
        table.print(System.out);
      }
    }
    return 0;
  }

  @Command(
      mixinStandardHelpOptions = true,
      description = "What a VM is expected to touch next, soonest first.")
  int forecast(
      @Parameters(paramLabel = "VM") String vm,
      @Option(names = "--limit", defaultValue = "20", description = "Rows. Default: 20.") int limit,
      @Mixin ApiOptions api)
      throws IOException {
    try (PrestageClient client = api.client()) {
      String path = "/v1/vms/" + PrestageClient.encode(vm) + "/forecast?limit=" + limit;
      JsonNode answer = api.parsed(client.get(path).text());
      if (answer != null) {
        Table table = new Table("RESOURCE", "PROBABILITY", "DUE", "EXPERTS");
        for (JsonNode expected : answer.path("resources")) {
          table.row(
              expected.path("resource").asText(),
              "%.3f".formatted(expected.path("probability").asDouble()),
              "%.1f ms".formatted(expected.path("dueMillis").asDouble()),
              words(expected.path("experts")));
        }
        table.print(System.out);
      }
    }
    return 0;
  }

  private static String words(JsonNode list) {
    StringBuilder words = new StringBuilder();
    for (JsonNode word : list) {
      words.append(words.isEmpty() ? "" : ",").append(word.asText());
    }
    return words.toString();
  }

  @Command(
      mixinStandardHelpOptions = true,
      description =
          "What staging did for each program and type of resource: every unit by how it ended, and what guests waited for.")
  int report(@Mixin ApiOptions api) throws IOException {
    try (PrestageClient client = api.client()) {
      JsonNode answer = api.parsed(client.get("/v1/report").text());
      if (answer != null) {
        Table table =
            new Table(
                "PROGRAM",
                "TYPE",
                "GRANTED",
                "LIVE",
                "USEFUL",
                "LATE",
                "UNUSED",
                "UNOBSERVED",
                "OTHER",
                "COVERAGE",
                "ACCURACY",
                "IN TIME",
                "WAITED",
                "WAITED S");
        answer.path("rows").forEach(row -> table.row(reportRow(row)));
        table.print(System.out);
        printControls(answer.path("controls"));
        printPassages(Json.MAPPER.readTree(client.get("/v1/tiers").text()).path("tiers"));
        System.out.println("since " + answer.path("since").asText());
      }
    }
    return 0;
  }

  private static void printControls(JsonNode controls) {
    if (controls.isEmpty()) {
      return;
    }
    System.out.println();
    Table table =
        new Table("PROGRAM", "STAGED", "WAITED S", "CONTROLS", "WAITED S", "SAVED S", "PAYS");
    for (JsonNode row : controls) {
      JsonNode margin = row.path("marginSeconds");
      String saved = seconds(row.path("savedSeconds"));
      table.row(
          name(row),
          row.path("staged").asLong(),
          seconds(row.path("stagedSeconds")),
          row.path("controls").asLong(),
          seconds(row.path("controlSeconds")),
          margin.isNumber() ? saved + " ± " + seconds(margin) : saved,
          row.path("pays").asBoolean() ? "yes" : "no: not staged for");
    }
    table.print(System.out);
  }

  /// Where each byte came from and went.
  private static void printPassages(JsonNode tiers) {
    System.out.println();
    Table table =
        new Table(
            "TIER",
            "FOUND",
            "STAGED",
            "DEMANDED",
            "FILLED",
            "MOVED IN",
            "MOVED OUT",
            "EVICTED",
            "REMOVED",
            "HELD");
    for (JsonNode tier : tiers) {
      table.row(
          tier.path("name").asText(),
          size(tier, "foundBytes"),
          size(tier, "stagedBytes"),
          size(tier, "demandedBytes"),
          size(tier, "filledBytes"),
          size(tier, "movedInBytes"),
          size(tier, "movedOutBytes"),
          size(tier, "evictedBytes"),
          size(tier, "removedBytes"),
          size(tier, "usedBytes"));
    }
    table.print(System.out);
  }

  private static String size(JsonNode tier, String bytes) {
    return Table.size(tier.path(bytes).asLong());
  }

  private static String seconds(JsonNode seconds) {
    return seconds.isNumber() ? String.format(Locale.ROOT, "%.3f", seconds.asDouble()) : "-";
  }

  private static String name(JsonNode row) {
    String tenant = row.path("tenant").asText();
    String program = row.path("program").asText();
    return tenant.equals("default") ? program : tenant + "/" + program;
  }

  private static Object[] reportRow(JsonNode row) {
    JsonNode ended = row.path("outcomes");
    long other =
        ended.path("redundant").asLong()
            + ended.path("failed").asLong()
            + ended.path("cancelled").asLong();
    return new Object[] {
      name(row),
      row.path("type").asText(),
      row.path("granted").asLong(),
      row.path("live").asLong(),
      ended.path("useful").asLong(),
      ended.path("late").asLong(),
      ended.path("unused").asLong(),
      ended.path("unobserved").asLong(),
      other,
      share(row.path("coverage")),
      share(row.path("accuracy")),
      share(row.path("timeliness")),
      row.path("waited").asLong(),
      String.format(Locale.ROOT, "%.2f", row.path("waitedSeconds").asDouble())
    };
  }

  private static String share(JsonNode share) {
    return share.isNumber() ? String.format(Locale.ROOT, "%.3f", share.asDouble()) : "-";
  }

  @Command(mixinStandardHelpOptions = true, description = "This host's tiers, the fastest first.")
  int tiers(@Mixin ApiOptions api) throws IOException {
    try (PrestageClient client = api.client()) {
      JsonNode answer = api.parsed(client.get("/v1/tiers").text());
      if (answer != null) {
        Table table =
            new Table("TIER", "KIND", "CAPACITY", "USED", "HITS", "PROMOTED", "DEMOTED", "EVICTED");
        for (JsonNode tier : answer.path("tiers")) {
          table.row(
              tier.path("name").asText(),
              tier.path("kind").asText(),
              size(tier, "capacityBytes"),
              size(tier, "usedBytes"),
              tier.path("hits").asText(),
              size(tier, "promotedBytes"),
              size(tier, "demotedBytes"),
              size(tier, "evictedBytes"));
        }
        table.print(System.out);
      }
    }
    return 0;
  }

  @Command(
      mixinStandardHelpOptions = true,
      description =
          "Follow the notices: staged, available, complete, unavailable, queued, reclaimed,"
              + " degraded.")
  int events(@Mixin ApiOptions api) throws IOException {
    try (PrestageClient client = api.client()) {
      client.events(
          null,
          event ->
              System.out.println(
                  api.json()
                      ? event.data()
                      : event.id() + " " + event.kind() + " " + event.data()));
    }
    return 0;
  }

  @Command(
      mixinStandardHelpOptions = true,
      description = "Every counter and level, in Prometheus' text format.")
  int metrics(@Mixin ApiOptions api) throws IOException {
    try (PrestageClient client = api.client()) {
      String text = client.get("/metrics").text();
      System.out.print(api.json() ? MetricsJson.of(text) + "\n" : text);
    }
    return 0;
  }
}
