package dev.prestage.cli;

import dev.prestage.cli.command.PrestageCommand;
import dev.prestage.cli.config.ConfigurationException;
import dev.prestage.cli.process.JvmSettings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

/// The command's entry.
///
/// Exit codes: 0 done, 1 it did not work, 2 it was asked wrongly.
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    JvmSettings.apply();
    System.exit(commandLine(args).execute(args));
  }

  /// The command for these words, with its messages.
  static CommandLine commandLine(String... words) {
    CommandLine command = PrestageCommand.forWords(words);
    command.setExecutionExceptionHandler((e, _, _) -> explain(e));
    command.setParameterExceptionHandler((e, _) -> explain(e));
    return command;
  }

  /// A command that was asked wrongly is one line; where a part of a command is missing, the list
  /// of its parts follows.
  private static int explain(ParameterException e) {
    CommandLine command = e.getCommandLine();
    System.err.printf(
        "prestage: %s; see %s --help%n", e.getMessage(), command.getCommandSpec().qualifiedName());
    if (!command.getSubcommands().isEmpty()) {
      command.usage(System.err);
    }
    return 2;
  }

  /// A mistake of the user or of the host is one line; a defect of ours keeps its stack.
  private static int explain(Exception e) throws Exception {
    Throwable cause = e instanceof UncheckedIOException && e.getCause() != null ? e.getCause() : e;
    if (cause instanceof ConfigurationException) {
      System.err.println("prestage: " + cause.getMessage());
      return 2;
    }
    if (cause instanceof FileSystemException file) {
      System.err.println("prestage: " + reason(file));
      return 1;
    }
    if (cause instanceof IOException) {
      System.err.println("prestage: " + cause.getMessage());
      return 1;
    }
    throw e;
  }

  /// The JDK's own messages name the file and leave the trouble to the exception's name.
  private static String reason(FileSystemException e) {
    String why =
        switch (e) {
          case NoSuchFileException _ -> "there is no such file or folder";
          case AccessDeniedException _ -> "this user may not use it";
          case FileAlreadyExistsException _ -> "it is there already";
          default -> e.getReason() == null ? e.getClass().getSimpleName() : e.getReason();
        };
    return e.getFile() + ": " + why;
  }
}
