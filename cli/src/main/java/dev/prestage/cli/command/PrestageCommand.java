package dev.prestage.cli.command;

import dev.prestage.cli.process.RunCommand;
import java.lang.reflect.Method;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;

/// The `prestage` command and its parts.
@Command(
    name = "prestage",
    description = "Has ready on a VM host what the programs in its VMs will touch next.",
    mixinStandardHelpOptions = true,
    version = "prestage 0.1.0",
    addMethodSubcommands = false)
public final class PrestageCommand extends HostCommands {
  private PrestageCommand() {}

  /// The command for these words. Reading the annotations of all parts takes longer than most parts
  /// take to run, so where the first word names a part, the command has this one only.
  public static CommandLine forWords(String... words) {
    CommandLine command = new CommandLine(new PrestageCommand());
    Map<String, Object> parts = parts();
    Object named = words.length == 0 ? null : parts.get(words[0]);
    if (named == null || named == HelpCommand.class) {
      parts.forEach(command::addSubcommand);
    } else {
      command.addSubcommand(words[0], named);
    }
    giveVersion(command);
    return command;
  }

  private static void giveVersion(CommandLine command) {
    for (CommandLine part : command.getSubcommands().values()) {
      part.getCommandSpec().version(command.getCommandSpec().version());
      giveVersion(part);
    }
  }

  /// By name in the order of the help, a class or a method each.
  private static Map<String, Object> parts() {
    Map<String, Object> parts = new LinkedHashMap<>();
    parts.put("help", HelpCommand.class);
    parts.put("demo", DemoCommand.class);
    parts.put("run", RunCommand.class);
    parts.put("vm", VmCommand.class);
    parts.put("attach", AttachCommand.class);
    parts.put("detach", DetachCommand.class);
    parts.put("model", ModelCommand.class);
    parts.put("image", ImageCommand.class);
    parts.put("simulate", SimulateCommand.class);
    parts.put("bench", BenchCommand.class);
    parts.put("doctor", DoctorCommand.class);
    parts.put("start-up", StartUpCommand.class);
    Map<String, Object> ofHost = new TreeMap<>();
    ofHost.put("allocate", AllocateCommand.class);
    ofHost.put("history", HistoryCommand.class);
    for (Method method : CommandLine.getCommandMethods(HostCommands.class, null)) {
      ofHost.put(method.getName(), method);
    }
    parts.putAll(ofHost);
    return parts;
  }
}
