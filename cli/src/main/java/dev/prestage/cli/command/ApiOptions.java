package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.cli.config.Configuration;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// What every command that asks a running Prestage has in common.
public final class ApiOptions {
  @Option(
      names = "--api",
      paramLabel = "SOCKET",
      description =
          "The API's socket. Default: $PRESTAGE_API, else api.sock of the default state folder.")
  private @Nullable Path socket;

  @Option(names = "--json", description = "Print the API's answer as it is.")
  private boolean json;

  /// Whether the answer is wanted as it is.
  boolean json() {
    return json;
  }

  PrestageClient client() {
    return client(socket);
  }

  /// @param socket the one that was named, or null for where it is by default
  static PrestageClient client(@Nullable Path socket) {
    Path chosen = socket;
    if (chosen == null) {
      String fromEnvironment = System.getenv("PRESTAGE_API");
      chosen =
          fromEnvironment != null && !fromEnvironment.isEmpty()
              ? Path.of(fromEnvironment)
              : Configuration.defaultState().resolve("sockets").resolve("api.sock");
    }
    return PrestageClient.onSocket(chosen);
  }

  /// Prints the answer as it is if that is wanted, and returns it parsed if a table is.
  @Nullable JsonNode parsed(String answer) throws IOException {
    if (json) {
      System.out.println(answer);
      return null;
    }
    return Json.MAPPER.readTree(answer);
  }
}
