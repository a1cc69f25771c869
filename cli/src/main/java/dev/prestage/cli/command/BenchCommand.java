package dev.prestage.cli.command;

import dev.prestage.benchmarks.demo.BootRecorder;
import dev.prestage.benchmarks.demo.DemoGate;
import dev.prestage.benchmarks.demo.DemoReport;
import java.io.EOFException;
import java.io.IOException;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `prestage bench`: measurements that compare side by side in one run, and the gates that hold
/// them.
@Command(name = "bench", description = "Measure, and hold what was reached.")
public final class BenchCommand {
  @Command(description = "The demo's boots: prediction against the other modes.")
  int demo(
      @Option(names = "--gate", description = "Exit with 1 when a limit is missed.") boolean gate,
      @Option(
              names = "--runs",
              defaultValue = "1",
              description = "Demos to run; each is checked. Default: 1.")
          int runs)
      throws IOException, InterruptedException {
    boolean missed = false;
    for (int run = 1; run <= runs; run++) {
      DemoReport report = DemoCommand.run();
      System.out.println(report.table());
      for (DemoGate.Check check : DemoGate.check(report)) {
        System.out.println(check);
        missed |= !check.holds();
      }
    }
    return gate && missed ? 1 : 0;
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
