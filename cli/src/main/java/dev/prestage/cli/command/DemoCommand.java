package dev.prestage.cli.command;

import dev.prestage.benchmarks.demo.Demo;
import dev.prestage.benchmarks.demo.DemoReport;
import dev.prestage.cli.process.SelfCommand;
import java.io.Console;
import java.io.IOException;
import java.nio.file.Path;
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
  @Option(names = "--json", paramLabel = "FILE", description = "Also write the rows to a file.")
  private @Nullable Path json;

  @Override
  public Integer call() throws IOException, InterruptedException {
    DemoReport report = run(Demo.Scope.WHOLE);
    System.out.println(report.table());
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
    return Path.of(System.getProperty("prestage.home", "."), "build", "demo");
  }

  // From JDK 25 on the default console is null again where nobody sits before it.
  @SuppressWarnings("SystemConsoleNull")
  static boolean isTerminal() {
    Console console = System.console();
    return console != null && console.isTerminal();
  }
}
