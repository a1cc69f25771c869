package dev.prestage.cli.command;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;

/// How far a long task is: on a terminal one line that is written over and goes away in the end;
/// elsewhere a line each ten seconds.
final class Meter implements AutoCloseable {
  private static final long LINE_NANOS = 10_000_000_000L;
  private static final long OVERWRITE_NANOS = 100_000_000L;

  /// What standard error leads to, and how terminals are called.
  private static final Path STANDARD_ERROR = Path.of("/proc/self/fd/2");

  private static final Pattern TERMINAL = Pattern.compile("/dev/(pts/|tty|console).*");

  private final String what;
  private final PrintStream out = System.err;
  private final boolean terminal = isTerminal();
  private long saidNanos = System.nanoTime();
  private boolean said;

  Meter(String what) {
    this.what = what;
  }

  /// The JDK's console speaks of standard input and output; the line goes to standard error, which
  /// may be a terminal while the tables go to a file, and the other way round.
  private static boolean isTerminal() {
    try {
      return TERMINAL.matcher(Files.readSymbolicLink(STANDARD_ERROR).toString()).matches();
    } catch (IOException | UnsupportedOperationException e) {
      return false;
    }
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
