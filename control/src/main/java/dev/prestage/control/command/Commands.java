package dev.prestage.control.command;

/// Executes commands. Any thread may call; the call waits for the answer.
@FunctionalInterface
public interface Commands {
  /// The answer to a command.
  Reply execute(Command command) throws Refusal;
}
