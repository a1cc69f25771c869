package dev.prestage.cli.process;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// The command line that runs this installation of `prestage` again.
public final class SelfCommand {
  /// What the database and the system calls need of the JVM.
  private static final List<String> NEEDED =
      List.of(
          "--enable-native-access=ALL-UNNAMED",
          "--sun-misc-unsafe-memory-access=allow",
          "-XX:+ExitOnOutOfMemoryError");

  private SelfCommand() {}

  /// Without arguments.
  public static List<String> line() {
    return line(List.of("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx64m"));
  }

  /// Without arguments, on a JVM with other flags.
  static List<String> line(List<String> flags) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(flags);
    command.addAll(NEEDED);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add("dev.prestage.cli.Main");
    return command;
  }
}
