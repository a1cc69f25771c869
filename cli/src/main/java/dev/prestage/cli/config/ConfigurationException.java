package dev.prestage.cli.config;

/// A configuration that cannot be used: one line with the place, what is wrong, and what would be
/// right.
public final class ConfigurationException extends Exception {
  private static final long serialVersionUID = 1;

  public ConfigurationException(String message) {
    super(message);
  }
}
