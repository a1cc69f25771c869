package dev.prestage.dataplane;

import dev.prestage.engine.fault.Faults;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;

/// A data plane in a process of its own, which a test may kill.
final class DataPlaneProcess implements AutoCloseable {
  private static final String READY = "ready";

  private final Process process;
  private final List<String> log = new CopyOnWriteArrayList<>();

  private DataPlaneProcess(Process process) {
    this.process = process;
  }

  /// Starts on a site's directory with an origin so far away and so wide, and waits until it
  /// serves.
  static DataPlaneProcess start(Path directory, int latencyMillis, long bytesPerSecond)
      throws IOException {
    return start(directory, latencyMillis, bytesPerSecond, List.of(), List.of("-Xmx64m"));
  }

  /// The same with a near origin, and other words before `java` and behind it.
  static DataPlaneProcess start(Path directory, List<String> prefix, List<String> options)
      throws IOException {
    return start(directory, 0, Long.MAX_VALUE, prefix, options);
  }

  private static DataPlaneProcess start(
      Path directory,
      int latencyMillis,
      long bytesPerSecond,
      List<String> prefix,
      List<String> options)
      throws IOException {
    List<String> command = new ArrayList<>(prefix);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    command.addAll(options);
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("java.class.path"),
            DataPlaneProcess.class.getName(),
            directory.toString(),
            Integer.toString(latencyMillis),
            Long.toString(bytesPerSecond)));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    var lines =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    var said = new StringBuilder();
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.equals(READY)) {
        var started = new DataPlaneProcess(process);
        Thread.ofVirtual().start(() -> started.drain(lines));
        return started;
      }
      said.append(line).append('\n');
    }
    throw new IOException("the data plane did not start: " + said);
  }

  /// What it logs later must not hold it up.
  private void drain(BufferedReader lines) {
    try {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        log.add(line);
      }
    } catch (IOException _) {
      // it has ended
    }
  }

  /// What it logged since it served.
  List<String> log() {
    return log;
  }

  /// How many descriptors it has open.
  long descriptors() throws IOException {
    try (Stream<Path> open = Files.list(Path.of("/proc", Long.toString(pid()), "fd"))) {
      return open.count();
    }
  }

  /// How many threads it has whose name begins so; Linux keeps 15 bytes of names.
  long threads(String name) throws IOException {
    long found = 0;
    try (Stream<Path> threads = Files.list(Path.of("/proc", Long.toString(pid()), "task"))) {
      for (Path thread : threads.toList()) {
        if (Files.readString(thread.resolve("comm")).startsWith(name)) {
          found++;
        }
      }
    }
    return found;
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
