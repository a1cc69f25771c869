package dev.prestage.cli.command;

import dev.prestage.benchmarks.demo.DemoGate;
import dev.prestage.benchmarks.demo.DemoReport;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// `prestage bench`: measurements that compare side by side in one run, and the gates that hold them.
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
}
