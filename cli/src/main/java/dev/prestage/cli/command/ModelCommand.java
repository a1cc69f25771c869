package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;

/// What was learnt, carried from host to host.
@Command(
    name = "model",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    description = "Carry what was learnt about a program to another host.")
public final class ModelCommand {
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
