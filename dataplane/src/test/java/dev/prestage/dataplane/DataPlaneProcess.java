package dev.prestage.dataplane;

import dev.prestage.engine.fault.Faults;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/// A data plane in a process of its own, which a test may kill.
final class DataPlaneProcess implements AutoCloseable {
  private static final String READY = "ready";

  private final Process process;

  private DataPlaneProcess(Process process) {
    this.process = process;
  }

  /// Starts on a site's directory with an origin so far away and so wide, and waits until it
  /// serves.
  static DataPlaneProcess start(Path directory, int latencyMillis, long bytesPerSecond)
      throws IOException {
    Process process =
        new ProcessBuilder(
                List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "--enable-native-access=ALL-UNNAMED",
                    "-Xmx64m",
                    "-cp",
                    System.getProperty("java.class.path"),
                    DataPlaneProcess.class.getName(),
                    directory.toString(),
                    Integer.toString(latencyMillis),
                    Long.toString(bytesPerSecond)))
            .redirectErrorStream(true)
            .start();
    var lines =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    var said = new StringBuilder();
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.equals(READY)) {
        return new DataPlaneProcess(process);
      }
      said.append(line).append('\n');
    }
    throw new IOException("the data plane did not start: " + said);
  }

  long pid() {
    return process.pid();
  }

  /// Kills it without a chance to tidy up.
  void kill() {
    process.destroyForcibly().onExit().join();
  }

  @Override
  public void close() {
    kill();
  }

  /// The process: serves until its standard input ends.
  public static void main(String[] args) throws Exception {
    var site = new Site(Path.of(args[0]));
    site.faults =
        Faults.link(Duration.ofMillis(Integer.parseInt(args[1])), Long.parseLong(args[2]));
    try (DataPlane _ = site.start()) {
      System.out.println(READY);
      while (System.in.read() >= 0) {
        // until the parent is gone
      }
    }
  }
}
