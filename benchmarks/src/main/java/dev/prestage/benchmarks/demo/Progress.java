package dev.prestage.benchmarks.demo;

import java.io.PrintStream;

/// A progress bar on a terminal; one line for each step elsewhere.
public final class Progress {
  private static final int WIDTH = 30;
  private static final int PER_MILLE = 1000;

  private final PrintStream out;
  private final boolean terminal;
  private final int steps;
  private int step;
  private int lastPerMille = -1;
  private String label = "";

  public Progress(PrintStream out, boolean terminal, int steps) {
    this.out = out;
    this.terminal = terminal;
    this.steps = steps;
  }

  /// The next step begins.
  public void begin(String label) {
    this.label = label;
    step++;
    if (terminal) {
      part(0);
    } else {
      out.printf("[%d/%d] %s%n", step, steps, label);
    }
  }

  /// A share of the present step is done.
  public void part(double share) {
    int perMille = (int) ((step - 1 + share) * PER_MILLE / steps);
    if (terminal && perMille != lastPerMille) {
      lastPerMille = perMille;
      int filled = perMille * WIDTH / PER_MILLE;
      out.printf(
          "\r[%s%s] %3d %%  %-40s",
          "#".repeat(filled), "-".repeat(WIDTH - filled), perMille / 10, label);
      out.flush();
    }
  }

  public void end() {
    if (terminal) {
      out.printf("\r%s\r", " ".repeat(WIDTH + 55));
      out.flush();
    }
  }
}
