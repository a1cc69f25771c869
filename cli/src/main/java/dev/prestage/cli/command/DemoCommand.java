package dev.prestage.cli.command;

import dev.prestage.benchmarks.bandwidth.BandwidthDemo;
import dev.prestage.benchmarks.bandwidth.BandwidthReport;
import dev.prestage.benchmarks.demo.Demo;
import dev.prestage.benchmarks.demo.DemoReport;
import dev.prestage.benchmarks.memory.MemoryDemo;
import dev.prestage.benchmarks.memory.MemoryReport;
import dev.prestage.benchmarks.network.NetworkDemo;
import dev.prestage.benchmarks.network.NetworkReport;
import dev.prestage.benchmarks.network.OwnNetwork;
import dev.prestage.cli.process.SelfCommand;
import java.io.Console;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// `prestage demo`: the main job, shown.
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    description =
        "Learn from boots of a VM on one host, and run a boot that was never seen on hosts without its bytes.")
public final class DemoCommand implements Callable<Integer> {
  /// Says to the command that it was started again, in a network of its own.
  static final String IN_OWN_NETWORK = "--in-own-network";

  @Option(names = "--json", paramLabel = "FILE", description = "Also write the rows to a file.")
  private @Nullable Path json;

  @Option(
      names = "--network",
      description =
          "Instead: connections of a service to a database and a cache 40 ms away, its own, a pool's and predicted ones.")
  private boolean network;

  @Option(
      names = "--memory",
      description =
          "Instead: a VM restored from a snapshot, with its pages on demand and with those that are expected filled in.")
  private boolean memory;

  @Option(
      names = "--bandwidth",
      description =
          "Instead: a burst on a link that seven other VMs fill, with its fair share, a rule that reacts and a forecast.")
  private boolean bandwidth;

  @Option(names = IN_OWN_NETWORK, hidden = true)
  private boolean inOwnNetwork;

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (network) {
      return network();
    }
    if (memory) {
      return memory();
    }
    if (bandwidth) {
      return bandwidth();
    }
    DemoReport report = run(Demo.Scope.WHOLE);
    System.out.println(report.table());
    if (json != null) {
      report.write(json);
    }
    return 0;
  }

  private int bandwidth() throws IOException, InterruptedException {
    BandwidthReport report = BandwidthDemo.run(SelfCommand.line(), System.err, isTerminal());
    System.out.println(report.table());
    if (json != null) {
      report.write(json);
    }
    return 0;
  }

  private int memory() throws IOException, InterruptedException {
    MemoryReport report =
        MemoryDemo.run(SelfCommand.line(), MemoryDemo.Scope.DEMO, System.err, isTerminal());
    System.out.println(report.table());
    if (json != null) {
      report.write(json);
    }
    return 0;
  }

  private int network() throws IOException, InterruptedException {
    NetworkDemo.Link link = NetworkDemo.Link.DEVICE;
    Optional<String> refusal = inOwnNetwork ? Optional.empty() : OwnNetwork.refusal();
    if (refusal.isPresent()) {
      System.err.println("prestage: no delayed link, so it is modelled: " + refusal.get());
      link = NetworkDemo.Link.MODELLED;
    } else if (!inOwnNetwork) {
      List<String> again = new ArrayList<>(SelfCommand.line());
      again.addAll(List.of("demo", "--network", IN_OWN_NETWORK));
      if (json != null) {
        again.addAll(List.of("--json", json.toString()));
      }
      return OwnNetwork.run(again);
    }
    NetworkReport report =
        NetworkDemo.run(SelfCommand.line(), NetworkDemo.Scope.DEMO, link, System.err, isTerminal());
    System.out.println(report);
    if (json != null) {
      report.write(json);
    }
    return 0;
  }

  /// Runs a demo with its progress on standard error. The image is kept between demos beside what
  /// the build made.
  static DemoReport run(Demo.Scope scope) throws IOException, InterruptedException {
    return Demo.run(SelfCommand.line(), scope, folder(), System.err, isTerminal());
  }

  static Path folder() {
    return SelfCommand.home().resolve("build/demo");
  }

  // From JDK 25 on the default console is null again where nobody sits before it.
  @SuppressWarnings("SystemConsoleNull")
  static boolean isTerminal() {
    Console console = System.console();
    return console != null && console.isTerminal();
  }
}
