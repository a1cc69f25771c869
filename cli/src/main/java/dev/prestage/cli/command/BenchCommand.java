package dev.prestage.cli.command;

import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.api.ApiGate;
import dev.prestage.benchmarks.bandwidth.AmountGate;
import dev.prestage.benchmarks.bandwidth.AmountSeries;
import dev.prestage.benchmarks.bandwidth.BandwidthGate;
import dev.prestage.benchmarks.bandwidth.MeterRecorder;
import dev.prestage.benchmarks.demo.BootRecorder;
import dev.prestage.benchmarks.demo.Demo;
import dev.prestage.benchmarks.demo.DemoGate;
import dev.prestage.benchmarks.demo.DemoReport;
import dev.prestage.benchmarks.demo.Folders;
import dev.prestage.benchmarks.demo.TwoDisks;
import dev.prestage.benchmarks.engine.BusyHost;
import dev.prestage.benchmarks.engine.ManagerGate;
import dev.prestage.benchmarks.history.HistoryGate;
import dev.prestage.benchmarks.memory.MemoryDemo;
import dev.prestage.benchmarks.memory.MemoryReport;
import dev.prestage.benchmarks.network.NetworkGate;
import dev.prestage.benchmarks.network.OwnNetwork;
import dev.prestage.benchmarks.simulator.ForecastGate;
import dev.prestage.benchmarks.simulator.NeuralGate;
import dev.prestage.benchmarks.simulator.SimulatorGate;
import dev.prestage.cli.process.SelfCommand;
import dev.prestage.control.train.TrainerProcess;
import java.io.EOFException;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;

/// `prestage bench`: measurements that compare side by side in one run, and the gates that hold
/// them.
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    description = "Measure, and hold what was reached.")
public final class BenchCommand {
  @Command(description = "The demo's boots: prediction against the other modes.")
  int demo(
      @Option(names = "--gate", description = "Exit with 1 when a limit is missed.") boolean gate,
      @Option(
              names = "--counts",
              description =
                  "One role with and without prediction, held to what is counted: reads and bytes, no time.")
          boolean counts,
      @Option(
              names = "--runs",
              defaultValue = "1",
              description = "Demos to run, of which the median counts. Default: 1.")
          int runs)
      throws IOException, InterruptedException {
    List<DemoReport> reports = new ArrayList<>();
    for (int run = 0; run < Math.max(1, runs); run++) {
      DemoReport report = DemoCommand.run(counts ? Demo.Scope.ONE_ROLE : Demo.Scope.WHOLE);
      System.out.println(report.table());
      reports.add(report);
    }
    List<DemoGate.Check> checks = new ArrayList<>(DemoGate.checkCounts(reports));
    if (!counts) {
      checks.addAll(DemoGate.checkStall(reports));
    }
    System.out.printf("%nmedian of %d:%n", reports.size());
    checks.forEach(System.out::println);
    return gate && !checks.stream().allMatch(DemoGate.Check::holds) ? 1 : 0;
  }

  @Command(description = "Recorded boots of a VM with two disks on two images, far away.")
  int disks(
      @Option(names = "--gate", description = "Exit with 1 when a limit is missed.") boolean gate)
      throws IOException, InterruptedException {
    List<DemoGate.Check> checks =
        TwoDisks.run(
            SelfCommand.line(), DemoCommand.folder(), System.err, DemoCommand.isTerminal());
    checks.forEach(System.out::println);
    return gate && !checks.stream().allMatch(DemoGate.Check::holds) ? 1 : 0;
  }

  @Command(
      description =
          "Connections of a service to a database and a cache 40 ms away, its own, a pool's and predicted ones; and what the relay costs.")
  int network(
      @Option(names = "--gate", description = "Exit with 1 when a limit is missed.") boolean gate,
      @Option(names = DemoCommand.IN_OWN_NETWORK, hidden = true) boolean inOwnNetwork)
      throws IOException, InterruptedException {
    if (!inOwnNetwork) {
      List<String> again = new ArrayList<>(SelfCommand.line());
      again.addAll(List.of("bench", "network", DemoCommand.IN_OWN_NETWORK));
      if (gate) {
        again.add("--gate");
      }
      return OwnNetwork.run(again);
    }
    NetworkGate.Result result =
        NetworkGate.run(SelfCommand.line(), System.err, DemoCommand.isTerminal());
    System.out.println(result);
    System.out.println();
    result.checks().forEach(System.out::println);
    return gate && !result.checks().stream().allMatch(NetworkGate.Check::holds) ? 1 : 0;
  }

  @Command(
      description =
          "A burst on a link that seven other VMs fill: fair share, a rule that reacts, and a forecast; and what staging costs.")
  int bandwidth(
      @Option(names = "--gate", description = "Exit with 1 when a limit is missed.") boolean gate,
      @Option(
              names = "--series",
              paramLabel = "FILE",
              description =
                  "Only the forecast of amounts, on a CSV of time,value with equal windows and a header; may be repeated.")
          List<Path> series,
      @Option(
              names = "--record",
              paramLabel = "FOLDER",
              description = "Only record what two guests ask for, as such files.")
          @Nullable Path record,
      @Option(
              names = "--seconds",
              description = "How long to record (default: ${DEFAULT-VALUE}).",
              defaultValue = "600")
          int seconds)
      throws IOException, InterruptedException {
    if (record != null) {
      MeterRecorder.run(SelfCommand.line(), record, seconds);
      return 0;
    }
    if (series != null && !series.isEmpty()) {
      return gate(
          gate,
          checks -> {
            for (Path file : series) {
              AmountGate.run(AmountSeries.read(file), System.out::println, checks);
            }
          });
    }
    return gate(
        gate,
        checks ->
            BandwidthGate.run(
                SelfCommand.line(),
                System.err,
                DemoCommand.isTerminal(),
                System.out::println,
                checks));
  }

  @Command(
      description =
          "A VM restored from a snapshot that is not in the page cache, near and far: pages on demand, replayed, forecast, and all of them.")
  int memory(
      @Option(names = "--gate", description = "Exit with 1 when a limit is missed.") boolean gate)
      throws IOException, InterruptedException {
    return gate(
        gate,
        checks -> {
          MemoryReport report =
              MemoryDemo.run(
                  SelfCommand.line(), MemoryDemo.Scope.GATE, System.err, DemoCommand.isTerminal());
          System.out.println(report.table());
          System.out.println();
          report.checks().forEach(checks);
        });
  }

  @Command(
      description =
          "The simulator against published numbers, on public traces: misses of caches and peers, stalls, speed.")
  int simulator(
      @Parameters(paramLabel = "FOLDER", description = "Where the traces lie.") Path folder,
      @Option(names = "--gate", description = "Exit with 1 when a row is too far off.")
          boolean gate)
      throws IOException, InterruptedException {
    return gate(gate, checks -> new SimulatorGate(folder, checks).run());
  }

  @Command(
      description =
          "The product's forecasts against peers on public traces: misses, starts, calibration, cost. Some five minutes.")
  int forecast(
      @Parameters(paramLabel = "FOLDER", description = "Where the traces lie.") Path folder,
      @Option(names = "--gate", description = "Exit with 1 when a limit is missed.") boolean gate)
      throws IOException, InterruptedException {
    return gate(gate, checks -> new ForecastGate(folder, checks).run());
  }

  @Command(
      description =
          "What a trained network adds to forecasts on public traces, and what it costs. Some three minutes.")
  int gru(
      @Parameters(paramLabel = "FOLDER", description = "Where the traces lie.") Path folder,
      @Option(names = "--gate", description = "Exit with 1 when a limit is missed.") boolean gate)
      throws IOException, InterruptedException {
    TrainerProcess trainer =
        TrainerProcess.installed(SelfCommand.home(), SelfCommand.home().resolve("build/trainer"))
            .orElseThrow(() ->
                new FileSystemException(
                    "the trainer", null, "is not installed; tools/trainer builds it"));
    return gate(gate, checks -> new NeuralGate(SelfCommand.line(), folder, trainer, checks).run());
  }

  @Command(
      description =
          "What deciding costs on a busy host: a hundred VMs that read what is here, in processor time.")
  int engine(
      @Option(names = "--gate", description = "Exit with 1 when a limit is missed.") boolean gate)
      throws IOException, InterruptedException {
    return gate(gate, BusyHost::run);
  }

  @Command(
      description =
          "What history costs: rows written and read, questions about 20 million of them, reads with and without it. Some three minutes and 1 GB.")
  int history(
      @Option(names = "--gate", description = "Exit with 1 when a limit is missed.") boolean gate)
      throws IOException, InterruptedException {
    return gate(
        gate,
        checks -> {
          Path build = Files.createDirectories(SelfCommand.home().resolve("build"));
          Path folder = Files.createTempDirectory(build, "history");
          try {
            HistoryGate.run(SelfCommand.line(), folder, checks);
          } finally {
            Folders.delete(folder);
          }
        });
  }

  @Command(
      description =
          "A host with a thousand VMs: requests at a steady rate, then events for a hundred clients. Some two minutes.")
  int api(
      @Option(names = "--gate", description = "Exit with 1 when a limit is missed.") boolean gate)
      throws IOException, InterruptedException {
    return gate(
        gate,
        checks ->
            ApiGate.run(
                SelfCommand.line(),
                System.err,
                DemoCommand.isTerminal(),
                System.out::println,
                checks));
  }

  @Command(
      description =
          "The manager of allocations: simulated days of a host with faults, what a decision costs, how often a tier misses beside other caches, and the derived threshold against fixed ones.")
  int manager(
      @Parameters(
              paramLabel = "FOLDER",
              arity = "0..1",
              description =
                  "Where the traces lie. Default: thresholds are compared on the recorded boots only, and no tiers.")
          @Nullable Path folder,
      @Option(
              names = "--seeds",
              defaultValue = "20",
              description = "Days to simulate, about a second each. Default: 20.")
          int seeds,
      @Option(names = "--gate", description = "Exit with 1 when a limit is missed.") boolean gate)
      throws IOException, InterruptedException {
    return gate(gate, checks -> ManagerGate.run(seeds, folder, checks));
  }

  /// Makes comparisons and tells each.
  @FunctionalInterface
  private interface Comparisons {
    void make(Consumer<Check> checks) throws IOException, InterruptedException;
  }

  private static int gate(boolean gate, Comparisons comparisons)
      throws IOException, InterruptedException {
    List<Check> missed = new ArrayList<>();
    comparisons.make(check -> {
      System.out.println(check);
      if (!check.holds()) {
        missed.add(check);
      }
    });
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
