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

  /// The system property that names the ahead-of-time cache which this JVM uses; `tools/common.sh`
  /// sets it.
  private static final String CACHE = "prestage.cache";

  /// The system property that names the folder of this installation.
  private static final String HOME = "prestage.home";

  private SelfCommand() {}

  /// Where Prestage is installed.
  public static Path home() {
    return Path.of(System.getProperty(HOME, ".")).toAbsolutePath();
  }

  /// Without arguments.
  public static List<String> line() {
    return line(
        List.of("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx64m"), "dev.prestage.cli.Main");
  }

  /// Another main class of this installation, without arguments, on a JVM with these flags.
  static List<String> line(List<String> flags, String mainClass) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(flags);
    command.addAll(NEEDED);
    // The cache fits this JDK and this class path, and so it fits the child's.
    String cache = System.getProperty(CACHE, "");
    if (!cache.isEmpty()) {
      command.add("-XX:AOTCache=" + cache);
      command.add("-Xlog:aot*=off");
      command.add("-Xlog:cds*=off");
      command.add("-D" + CACHE + "=" + cache);
    }
    command.add("-D" + HOME + "=" + home());
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(mainClass);
    return command;
  }
}
