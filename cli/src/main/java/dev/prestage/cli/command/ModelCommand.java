package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;

/// What was learnt: shown, trained, carried from host to host.
@Command(
    name = "model",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    description = "What was learnt about programs: see it, train it, carry it to another host.")
public final class ModelCommand {
  @Command(name = "list", description = "What was learnt about each program.")
  int list(@Mixin ApiOptions api) throws IOException {
    try (PrestageClient client = api.client()) {
      JsonNode models = api.parsed(client.get("/v1/models").text());
      if (models != null) {
        Table table =
            new Table(
                "tenant", "program", "type", "runs", "requests", "memory", "network", "training");
        models.path("models").forEach(model -> table.row(row(model)));
        table.print(System.out);
      }
    }
    return 0;
  }

  private static Object[] row(JsonNode model) {
    JsonNode gain = model.path("networkGainBits");
    JsonNode training = model.path("training");
    return new Object[] {
      model.path("tenant").asText(),
      model.path("program").asText(),
      model.path("type").asText(),
      model.path("runs").asText(),
      model.path("requests").asText(),
      Table.size(model.path("memoryBytes").asLong()),
      network(model.path("network").asBoolean(), gain),
      training.isObject()
          ? training.path("state").asText() + ": " + training.path("line").asText()
          : "-"
    };
  }

  private static String network(boolean serves, JsonNode gain) {
    String worth = gain.isNumber() ? String.format(Locale.ROOT, "%+.2f bits", gain.asDouble()) : "";
    return serves ? "serves " + worth : worth.isEmpty() ? "-" : "retired " + worth;
  }

  @Command(
      name = "train",
      description =
          "Train a program's network from history, in the background; 'model list' shows how far it is.")
  int train(
      @Parameters(paramLabel = "PROGRAM") String program,
      @Option(names = "--tenant", description = "Whose program it is. Default: default.")
          @Nullable String tenant,
      @Mixin ApiOptions api)
      throws IOException {
    return ask(api, path(program, "/training", tenant));
  }

  @Command(
      name = "rebuild",
      description =
          "Learn again from history alone what is known about a program, in the background;"
              + " 'model list' shows how far it is. What serves is untouched until all is learnt.")
  int rebuild(
      @Parameters(paramLabel = "PROGRAM") String program,
      @Option(names = "--tenant", description = "Whose program it is. Default: default.")
          @Nullable String tenant,
      @Mixin ApiOptions api)
      throws IOException {
    return ask(api, path(program, "/rebuild", tenant));
  }

  @Command(
      name = "versions",
      description = "The model that serves a program, and the earlier ones that are kept.")
  int versions(
      @Parameters(paramLabel = "PROGRAM") String program,
      @Option(names = "--tenant", description = "Whose program it is. Default: default.")
          @Nullable String tenant,
      @Mixin ApiOptions api)
      throws IOException {
    try (PrestageClient client = api.client()) {
      printVersions(api.parsed(client.get(path(program, "/versions", tenant)).text()));
    }
    return 0;
  }

  @Command(
      name = "diff",
      description =
          "What two models of a program differ in: where they come from, and what each expects a start to touch.")
  int diff(
      @Parameters(paramLabel = "PROGRAM") String program,
      @Parameters(
              paramLabel = "FROM",
              arity = "0..1",
              description =
                  "The number of one in 'model versions'. Default: the one that served last.")
          @Nullable Integer from,
      @Parameters(
              paramLabel = "TO",
              arity = "0..1",
              description = "That of the other. Default: the one that serves.")
          @Nullable Integer to,
      @Option(names = "--tenant", description = "Whose program it is. Default: default.")
          @Nullable String tenant,
      @Mixin ApiOptions api)
      throws IOException {
    StringBuilder path = new StringBuilder(path(program, "/diff", tenant));
    if (from != null) {
      path.append(tenant == null ? "?" : "&").append("from=").append(from);
    }
    if (to != null) {
      path.append("&to=").append(to);
    }
    try (PrestageClient client = api.client()) {
      JsonNode answer = api.parsed(client.get(path.toString()).text());
      if (answer != null) {
        ModelDiffText.print(answer, System.out);
      }
    }
    return 0;
  }

  @Command(
      name = "rollback",
      description =
          "Have an earlier model serve a program again; the one that serves now is kept as a version.")
  int rollBack(
      @Parameters(paramLabel = "PROGRAM") String program,
      @Parameters(
              paramLabel = "VERSION",
              arity = "0..1",
              description = "Its number in 'model versions'. Default: the one that served last.")
          @Nullable Integer version,
      @Option(names = "--tenant", description = "Whose program it is. Default: default.")
          @Nullable String tenant,
      @Mixin ApiOptions api)
      throws IOException {
    String path = path(program, "/rollback", tenant);
    String which = version == null ? "" : (tenant == null ? "?" : "&") + "version=" + version;
    try (PrestageClient client = api.client()) {
      printVersions(api.parsed(client.post(path + which, "").text()));
    }
    return 0;
  }

  private static void printVersions(@Nullable JsonNode answer) {
    if (answer == null) {
      return;
    }
    Table table =
        new Table("version", "serves", "how", "since", "data from", "to", "seed", "runs", "about");
    for (JsonNode version : answer.path("versions")) {
      String trouble = version.path("trouble").asText();
      table.row(
          version.path("number").asText(),
          version.path("serving").asBoolean() ? "yes" : "-",
          version.path("how").asText(),
          orDash(version.path("since")),
          orDash(version.path("dataFrom")),
          orDash(version.path("dataTo")),
          orDash(version.path("seed")),
          orDash(version.path("runs")),
          trouble.isEmpty() ? version.path("line").asText() : trouble);
    }
    table.print(System.out);
  }

  static String orDash(JsonNode value) {
    return value.isNull() ? "-" : value.asText();
  }

  private static String path(String program, String what, @Nullable String tenant) {
    String query = tenant == null ? "" : "?tenant=" + PrestageClient.encode(tenant);
    return "/v1/models/" + PrestageClient.encode(program) + what + query;
  }

  private static int ask(ApiOptions api, String path) throws IOException {
    try (PrestageClient client = api.client()) {
      JsonNode training = api.parsed(client.post(path, "").text());
      if (training != null) {
        System.out.println(training.path("state").asText() + ": " + training.path("line").asText());
      }
    }
    return 0;
  }

  @Command(name = "export", description = "Write a program's model to a file.")
  int exportModel(
      @Parameters(paramLabel = "PROGRAM") String program,
      @Parameters(paramLabel = "FILE") Path file,
      @Option(names = "--tenant", description = "Whose program it is. Default: default.")
          @Nullable String tenant,
      @Mixin ApiOptions api)
      throws IOException {
    String query = tenant == null ? "" : "?tenant=" + PrestageClient.encode(tenant);
    try (PrestageClient client = api.client()) {
      Files.write(file, client.getBytes("/v1/models/" + PrestageClient.encode(program) + query));
    }
    return 0;
  }

  @Command(name = "import", description = "Take a model from a file.")
  int importModel(@Parameters(paramLabel = "FILE") Path file, @Mixin ApiOptions api)
      throws IOException {
    try (PrestageClient client = api.client()) {
      JsonNode answer = api.parsed(client.postBytes("/v1/models", Files.readAllBytes(file)).text());
      if (answer != null) {
        System.out.printf(
            "%s of tenant %s: %d runs, %d resources%n",
            answer.path("program").asText(),
            answer.path("tenant").asText(),
            answer.path("runs").asInt(),
            answer.path("resources").asInt());
      }
    }
    return 0;
  }
}
