package dev.prestage.cli.command;

import dev.prestage.client.PrestageClient;
import dev.prestage.simulator.trace.Trace;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// The history of a running host as a trace: the options of `simulate` that say which part of it.
final class HostHistory {
  @Option(
      names = "--history",
      description =
          "The accesses of a running host instead of traces: what would have been, had it been otherwise?")
  private boolean wanted;

  @Mixin private HistoryWindow window = new HistoryWindow();

  @Option(
      names = "--api",
      paramLabel = "SOCKET",
      description =
          "The host's API. Default: $PRESTAGE_API, else api.sock of the default state folder.")
  private @Nullable Path socket;

  /// Reads a file as a trace.
  @FunctionalInterface
  interface Reader {
    Trace read(Path file) throws IOException;
  }

  boolean isWanted() {
    return wanted;
  }

  /// Has the host export it, to a file that is gone afterwards.
  Trace read(Reader reader) throws IOException {
    Path folder = Files.createTempDirectory("prestage");
    Path file = folder.resolve("history.csv");
    try {
      try (PrestageClient client = ApiOptions.client(socket);
          OutputStream out = Files.newOutputStream(file)) {
        client.download(window.path("export"), out);
      }
      return reader.read(file);
    } finally {
      Files.deleteIfExists(file);
      Files.delete(folder);
    }
  }
}
