package dev.prestage.cli.command;

import java.io.Console;
import java.io.PrintStream;
import java.util.Optional;

/// How far a long task is: on a terminal one line that is written over and goes away in the end;
/// elsewhere a line each ten seconds.
final class Meter implements AutoCloseable {
  private static final long LINE_NANOS = 10_000_000_000L;
  private static final long OVERWRITE_NANOS = 100_000_000L;

  private final String what;
  private final PrintStream out = System.err;
  private final boolean terminal =
      Optional.ofNullable(System.console()).map(Console::isTerminal).orElse(false);
  private long saidNanos = System.nanoTime();
  private boolean said;

  Meter(String what) {
    this.what = what;
  }

  /// So much of all is done.
  void share(long done, long all) {
    long now = System.nanoTime();
    if (now - saidNanos < (terminal ? OVERWRITE_NANOS : LINE_NANOS)) {
      return;
    }
    saidNanos = now;
    String line = "%s: %d %%".formatted(what, all == 0 ? 0 : Math.min(100, 100 * done / all));
    if (terminal) {
      out.print("\r" + line);
      out.flush();
      said = true;
    } else {
      out.println(line);
    }
  }

  @Override
  public void close() {
    if (said) {
      out.print("\r\033[K");
      out.flush();
    }
  }
}
