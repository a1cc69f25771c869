package dev.prestage.benchmarks.bandwidth;

import dev.prestage.benchmarks.Check;
import dev.prestage.benchmarks.bandwidth.BandwidthDemo.Beside;
import dev.prestage.benchmarks.bandwidth.BandwidthDemo.Setting;
import dev.prestage.dataplane.bandwidth.Link;
import dev.prestage.dataplane.bandwidth.Links;
import java.io.IOException;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/// What shares of a link must reach, side by side in one run.
public final class BandwidthGate {
  private static final double LEAST_OF_RESERVATION = 0.9;
  private static final double LEAST_LINK_USE = 0.95;
  private static final double MOST_SLOWED = 0.05;
  private static final double MOST_DECISION_NANOS = 200;

  private static final List<String> RECORDINGS = List.of("periodic", "bursty");
  private static final int VMS = 8;
  private static final int DECISIONS = 2_000_000;
  private static final int ROUNDS = 5;
  private static final int READ_BYTES = 64 << 10;
  private static final long NANOS_PER_READ = 10_000;

  private BandwidthGate() {}

  /// Runs it.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param err where the progress goes
  /// @param terminal whether that is a terminal
  /// @param out hears the table
  /// @param checks hears each comparison
  public static void run(
      List<String> prestage,
      PrintStream err,
      boolean terminal,
      Consumer<String> out,
      Consumer<Check> checks)
      throws IOException, InterruptedException {
    for (String recording : RECORDINGS) {
      AmountGate.run(AmountSeries.recorded(recording), out, checks);
    }
    double decision = decisionNanos();
    BandwidthReport report = BandwidthDemo.run(prestage, err, terminal);
    Beside beside;
    // What was granted before staging is switched off goes on, so it is never on before.
    try (Setting setting = Setting.open(prestage, "predict: {enabled: false, controls: 0}\n")) {
      // The link is scheduled while anybody is bound to it.
      setting.learn();
      setting.host.registerReader("bound", "bound", "job.raw", "nas");
      setting.contend();
      beside = setting.beside();
    }
    out.accept(report.table());
    out.accept(
        String.format(
            Locale.ROOT,
            "%nothers: %.2f MB/s without staging, %.2f beside it (%d units granted)%n",
            beside.withoutBytes() / 1e6,
            beside.withBytes() / 1e6,
            beside.granted()));
    BandwidthReport.Row predicted = report.row("predicted");
    BandwidthReport.Row fair = report.row("fair share");
    checks.accept(
        atLeast(
            "predicted: share of its reservation in the burst's first second",
            predicted.firstSecondBytes() / (double) Math.max(1, predicted.reservedBytes()),
            LEAST_OF_RESERVATION));
    checks.accept(
        atLeast(
            "predicted: first second, as a multiple of the fair share's",
            predicted.firstSecondBytes() / (double) Math.max(1, fair.firstSecondBytes()),
            1.5));
    for (BandwidthReport.Row row : report.rows()) {
      checks.accept(atLeast(row.mode() + ": link use", row.linkShare(), LEAST_LINK_USE));
    }
    checks.accept(
        Check.atMost("token decision, ns, eight VMs that contend", decision, MOST_DECISION_NANOS));
    checks.accept(atLeast("staging: units granted beside demand", (double) beside.granted(), 1));
    checks.accept(
        Check.atMost(
            "staging: share by which demand is slower beside it",
            1 - beside.withBytes() / beside.withoutBytes(),
            MOST_SLOWED));
  }

  private static Check atLeast(String what, double value, double least) {
    return new Check(
        what, value, String.format(Locale.ROOT, "at least %.4g", least), value >= least);
  }

  /// The median of some rounds: a read waits, the next one is chosen, and pays.
  static double decisionNanos() {
    double[] rounds = new double[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      rounds[round] = decisions(DECISIONS);
    }
    Arrays.sort(rounds);
    return rounds[ROUNDS / 2];
  }

  static double decisions(int count) {
    Link link =
        Objects.requireNonNull(
            new Links(Map.of("nas", READ_BYTES * 1_000_000_000L / NANOS_PER_READ)).of("nas"));
    List<String> vms = IntStream.range(0, VMS).mapToObj(vm -> "vm-" + vm).toList();
    long now = 1_000_000_000_000L;
    for (String vm : vms) {
      link.waits(vm, READ_BYTES, true, now);
    }
    long began = System.nanoTime();
    for (int i = 0; i < count; i++) {
      now += NANOS_PER_READ;
      String next = link.next(now);
      if (next != null) {
        link.take(next, READ_BYTES, now);
        link.waits(next, READ_BYTES, true, now);
      }
    }
    return (System.nanoTime() - began) / (double) count;
  }
}
