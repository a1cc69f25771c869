package dev.prestage.cli.command;

import dev.prestage.benchmarks.demo.BootRecorder;
import dev.prestage.benchmarks.demo.DemoGate;
import dev.prestage.benchmarks.demo.DemoReport;
import dev.prestage.benchmarks.simulator.SimulatorGate;
import java.io.EOFException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `prestage bench`: measurements that compare side by side in one run, and the gates that hold
/// them.
@Command(name = "bench", description = "Measure, and hold what was reached.")
public final class BenchCommand {
  /// Demos to run when one missed a limit: their median says whether it was the machine's mood.
  private static final int RUNS_AFTER_A_MISS = 3;

  @Command(description = "The demo's boots: prediction against the other modes.")
  int demo(
      @Option(
              names = "--gate",
              description =
                  "Exit with 1 when a limit is missed. After a miss two more demos run, and the median counts.")
          boolean gate,
      @Option(names = "--runs", defaultValue = "1", description = "Demos to run. Default: 1.")
          int runs)
      throws IOException, InterruptedException {
    List<DemoReport> reports = new ArrayList<>();
    boolean holds = run(reports, Math.max(1, runs));
    if (gate && !holds && reports.size() < RUNS_AFTER_A_MISS) {
      holds = run(reports, RUNS_AFTER_A_MISS);
    }
    return gate && !holds ? 1 : 0;
  }

  /// Runs demos until there are so many, and prints them and how they stand against the limits.
  private static boolean run(List<DemoReport> reports, int runs)
      throws IOException, InterruptedException {
    while (reports.size() < runs) {
      DemoReport report = DemoCommand.run();
      System.out.println(report.table());
      reports.add(report);
    }
    List<DemoGate.Check> checks = DemoGate.check(reports);
    System.out.printf("%nmedian of %d:%n", reports.size());
    checks.forEach(System.out::println);
    return checks.stream().allMatch(DemoGate.Check::holds);
  }

  @Command(
      description =
          "The simulator against published numbers, on public traces: misses of caches and peers, stalls, speed.")
  int simulator(
      @Parameters(paramLabel = "FOLDER", description = "Where the traces lie.") Path folder,
      @Option(names = "--gate", description = "Exit with 1 when a row is too far off.")
          boolean gate)
      throws IOException, InterruptedException {
    List<SimulatorGate.Check> missed = new ArrayList<>();
    new SimulatorGate(
            folder,
            check -> {
              System.out.println(check);
              if (!check.holds()) {
                missed.add(check);
              }
            })
        .run();
    System.out.printf("%n%d of these are too far off%n", missed.size());
    return gate && !missed.isEmpty() ? 1 : 0;
  }

  @Command(
      hidden = true,
      description =
          "Serve an image to one guest and write down its reads, until ended; see recordings/record.")
  int record(
      @Parameters(paramLabel = "IMAGE") Path image,
      @Parameters(paramLabel = "SOCKET") Path socket,
      @Parameters(paramLabel = "LOG") Path log)
      throws IOException {
    BootRecorder recorder = BootRecorder.start(image, socket, log);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(recorder), "stop"));
    try {
      recorder.run();
    } catch (EOFException e) {
      // The recorder was closed: the recording is complete.
    }
    return 0;
  }

  private static void close(BootRecorder recorder) {
    try {
      recorder.close();
    } catch (IOException e) {
      System.err.println("prestage: the recording may be incomplete: " + e.getMessage());
    }
  }
}
