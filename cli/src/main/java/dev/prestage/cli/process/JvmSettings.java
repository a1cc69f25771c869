package dev.prestage.cli.process;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.logging.LogManager;

/// What every JVM of ours sets before anything else.
public final class JvmSettings {
  private JvmSettings() {}

  /// Sets the log's format, the output's character set and the locale.
  public static void apply() {
    try (InputStream in =
        JvmSettings.class.getResourceAsStream("/dev/prestage/cli/logging.properties")) {
      if (in != null) {
        LogManager.getLogManager().readConfiguration(in);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    // What comes out may hold names of images in any script.
    System.setOut(new PrintStream(System.out, true, StandardCharsets.UTF_8));
    // Numbers look the same everywhere: scripts read them.
    Locale.setDefault(Locale.ROOT);
  }
}
