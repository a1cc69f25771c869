package dev.prestage.cli.command;

import dev.prestage.client.PrestageClient;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// Which part of history is looked at: the options that its commands have in common.
final class HistoryWindow {
  @Option(names = "--program", description = "Only this program's.")
  private @Nullable String program;

  @Option(names = "--vm", description = "Only this VM's.")
  private @Nullable String vm;

  @Option(
      names = "--type",
      description = "Only this type's, such as file-block or network-connection.")
  private @Nullable String type;

  @Option(
      names = "--since",
      defaultValue = "1h",
      description = "From when: 2h (ago) or ISO-8601. Default: 1h.")
  private String since = "1h";

  @Option(names = "--until", description = "Until when: 30m (ago) or ISO-8601. Default: now.")
  private @Nullable String until;

  /// The path of a question about this window.
  ///
  /// @param others names and values of other parameters; those without a value are left out
  String path(String question, @Nullable Object... others) {
    StringBuilder path = new StringBuilder("/v1/history/").append(question);
    path.append("?since=").append(PrestageClient.encode(since));
    add(path, "until", until);
    add(path, "program", program);
    add(path, "vm", vm);
    add(path, "type", type);
    for (int i = 0; i < others.length; i += 2) {
      add(path, String.valueOf(others[i]), others[i + 1]);
    }
    return path.toString();
  }

  private static void add(StringBuilder path, String name, @Nullable Object value) {
    if (value != null) {
      path.append('&').append(name).append('=').append(PrestageClient.encode(value.toString()));
    }
  }
}
