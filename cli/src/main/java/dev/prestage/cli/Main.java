package dev.prestage.cli;

import dev.prestage.cli.command.BenchCommand;
import dev.prestage.cli.command.DemoCommand;
import dev.prestage.cli.command.HostCommands;
import dev.prestage.cli.command.ModelCommand;
import dev.prestage.cli.command.VmCommand;
import dev.prestage.cli.config.ConfigurationException;
import dev.prestage.cli.process.ControlPlaneCommand;
import dev.prestage.cli.process.DataPlaneCommand;
import dev.prestage.cli.process.RunCommand;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.logging.LogManager;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.ScopeType;

/// The command's entry.
///
/// Exit codes: 0 done, 1 it did not work, 2 it was asked wrongly.
@Command(
    name = "prestage",
    description = "Has ready on a VM host what the programs in its VMs will touch next.",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    version = "prestage 0.1.0",
    subcommands = {
      HelpCommand.class,
      RunCommand.class,
      ControlPlaneCommand.class,
      VmCommand.class,
      ModelCommand.class
    })
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    configureLogging();
    // What comes out may hold names of images in any script.
    System.setOut(new PrintStream(System.out, true, StandardCharsets.UTF_8));
    CommandLine command = new CommandLine(new Main());
    CommandLine host = new CommandLine(new HostCommands());
    host.getSubcommands().forEach(command::addSubcommand);
    command.setExecutionExceptionHandler((e, _, _) -> explain(e));
    System.exit(command.execute(args));
  }

  /// A mistake of the user or of the host is one line; a defect of ours keeps its stack.
  private static int explain(Exception e) throws Exception {
    Throwable cause = e instanceof UncheckedIOException && e.getCause() != null ? e.getCause() : e;
    if (cause instanceof ConfigurationException) {
      System.err.println("prestage: " + cause.getMessage());
      return 2;
    }
    if (cause instanceof IOException) {
      System.err.println("prestage: " + cause.getMessage());
      return 1;
    }
    throw e;
  }

  private static void configureLogging() {
    try (InputStream in = Main.class.getResourceAsStream("logging.properties")) {
      if (in != null) {
        LogManager.getLogManager().readConfiguration(in);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
