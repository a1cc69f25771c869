package dev.prestage.cli;

/// The command's entry.
public final class Main {
  private Main() {}

  public static void main(String[] args) {}
}
