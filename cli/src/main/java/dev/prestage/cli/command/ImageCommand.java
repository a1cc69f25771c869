package dev.prestage.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.client.PrestageClient;
import java.io.IOException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;

/// What this host holds of images.
@Command(
    name = "image",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    description = "What this host holds of images.")
public final class ImageCommand {
  @Command(
      description =
          "Remove what the tier holds of an image, in every version; it is fetched again when it is read.")
  int purge(
      @Parameters(paramLabel = "IMAGE", description = "Its file name at the origin.") String image,
      @Option(names = "--tenant", description = "Whose it is. Default: default.")
          @Nullable String tenant,
      @Mixin ApiOptions api)
      throws IOException {
    String query = tenant == null ? "" : "?tenant=" + PrestageClient.encode(tenant);
    try (PrestageClient client = api.client()) {
      JsonNode answer =
          api.parsed(client.delete("/v1/images/" + PrestageClient.encode(image) + query).text());
      if (answer != null) {
        System.out.printf("%d bytes were given back%n", answer.path("bytes").asLong());
      }
    }
    return 0;
  }
}
