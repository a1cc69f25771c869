package dev.prestage.benchmarks.history;

import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.demo.Folders;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;

/// What history costs and how fast it answers: what it writes, what it tells of twenty million
/// rows, and what a host's reads pay for it.
public final class HistoryGate {
  private static final double LEAST_WRITTEN = 600_000;
  private static final double MOST_PUBLISH_NANOS = 200;
  private static final double MOST_TOP_MILLIS = 300;
  private static final double LEAST_TRANSITIONS = 2e6;
  private static final double MOST_ROW_BYTES = 50;
  private static final double MOST_OF_OFF = 1.15;

  private HistoryGate() {}

  /// Runs it.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param folder where the databases go; removed by who made it
  /// @param checks hears each comparison
  public static void run(List<String> prestage, Path folder, Consumer<Check> checks)
      throws IOException, InterruptedException {
    Publishing.Cost publishing = Publishing.measure();
    checks.accept(
        Check.atMost(
            "ns that a read pays to tell of itself", publishing.nanos(), MOST_PUBLISH_NANOS));
    checks.accept(Check.atMost("bytes allocated for that", publishing.bytes(), 0.01));
    // First: the rows' pages are written back for a minute, and hosts wait for their disk.
    checks.accept(
        Check.atMost(
            "processor time of an NBD read, history on against off", ratio(prestage), MOST_OF_OFF));
    StoredRows.Result stored = StoredRows.measure(folder.resolve("rows"));
    checks.accept(
        atLeast("rows written a second, with what they add up to", stored.rate(), LEAST_WRITTEN));
    checks.accept(
        Check.atMost("bytes on disk a row, of 20 million", stored.rowBytes(), MOST_ROW_BYTES));
    checks.accept(
        Check.atMost(
            "ms for the top resources of 20 million rows", stored.topMillis(), MOST_TOP_MILLIS));
    checks.accept(
        atLeast("rows a second read for transitions", stored.transitionsRate(), LEAST_TRANSITIONS));
  }

  /// In a folder with a short name, because of the sockets in it.
  private static double ratio(List<String> prestage) throws IOException, InterruptedException {
    Path hosts = Files.createTempDirectory("prestage");
    try {
      return OnAndOff.ratio(prestage, hosts);
    } finally {
      Folders.delete(hosts);
    }
  }

  private static Check atLeast(String what, double value, double least) {
    return new Check(
        what, value, String.format(Locale.ROOT, "at least %.4g", least), value >= least);
  }
}
