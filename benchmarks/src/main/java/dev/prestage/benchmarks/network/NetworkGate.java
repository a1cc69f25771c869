package dev.prestage.benchmarks.network;

import dev.prestage.benchmarks.demo.Host;
import dev.prestage.benchmarks.demo.Progress;
import dev.prestage.benchmarks.network.NetworkDemo.Setting;
import dev.prestage.benchmarks.network.Requests.Upstream;
import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/// What connections through Prestage must reach, all side by side in one run. Needs a network of
/// its own ([OwnNetwork]).
public final class NetworkGate {
  /// Of the round trips until the first answer: the answer's own, and a fifth for what the relay
  /// takes and for connects that find nothing ready.
  private static final double MOST_ROUND_TRIPS = 1.2;

  private static final double MOST_WASTED = 0.25;
  private static final double MOST_DEARER_MILLIS = 0.5;
  private static final double LEAST_OF_PEER = 0.8;

  /// What a connect through the relay costs more than a direct one is small against the link's
  /// jitter, and the median of so many pairs shows it.
  private static final int PAIRS = 150;

  /// Connects over loopback before these, both ways, so that neither side runs code that was not
  /// compiled yet, as a host that has served for a minute does not.
  private static final int WARMING_PAIRS = 1000;

  private static final int BULK_ROUNDS = 5;
  private static final long BULK_BYTES = 1L << 30;

  private NetworkGate() {}

  /// One comparison.
  ///
  /// @param most whether the limit is the most that may be, else the least
  public record Check(String what, double value, double limit, boolean most) {
    /// Whether the limit is kept; what is no number does not keep it.
    public boolean holds() {
      return most ? value <= limit : value >= limit;
    }

    @Override
    public String toString() {
      return String.format(
          Locale.ROOT,
          "%-4s %s: %.2f, %s %.2f",
          holds() ? "ok" : "MISS",
          what,
          value,
          most ? "at most" : "at least",
          limit);
    }
  }

  /// What was measured.
  ///
  /// @param report the modes with the same requests
  /// @param unpredicted connects for which nothing was opened ahead
  /// @param bulk MiB in a second of one connection, medians
  public record Result(NetworkReport report, Unpredicted unpredicted, Bulk bulk) {
    /// The comparisons; without HAProxy that with it is missing.
    public List<Check> checks() {
      NetworkReport.Row direct = report.row("direct");
      NetworkReport.Row predicted = report.row("predicted");
      List<Check> checks = new ArrayList<>();
      checks.add(
          new Check(
              "predicted: round trips to the first answer, median",
              predicted.p50Millis() / report.roundTripMillis(),
              MOST_ROUND_TRIPS,
              true));
      checks.add(
          new Check(
              "direct: the same, which shows that the link delays handshakes",
              direct.p50Millis() / report.roundTripMillis(),
              2,
              false));
      checks.add(
          new Check(
              "predicted: share opened and not used", predicted.wastedShare(), MOST_WASTED, true));
      checks.add(
          new Check(
              "unpredicted: ms dearer than direct, medians",
              unpredicted.relayedMillis() - unpredicted.directMillis(),
              MOST_DEARER_MILLIS,
              true));
      bulk.haProxy()
          .ifPresent(peer ->
              checks.add(
                  new Check(
                      "bulk: throughput as a share of HAProxy's",
                      bulk.relayed() / peer,
                      LEAST_OF_PEER,
                      false)));
      return checks;
    }

    /// What the checks compare.
    @Override
    public String toString() {
      return String.format(
          Locale.ROOT,
          "%s%n%nunpredicted: %.2f ms, direct %.2f ms (medians of %d)%nbulk: %.0f MiB/s, direct %.0f"
              + " MiB/s, HAProxy %s (medians of %d)",
          report,
          unpredicted.relayedMillis(),
          unpredicted.directMillis(),
          PAIRS,
          bulk.relayed(),
          bulk.direct(),
          bulk.haProxy()
              .map(peer -> String.format(Locale.ROOT, "%.0f MiB/s", peer))
              .orElse("not installed (Debian package haproxy), so it is not compared with"),
          BULK_ROUNDS);
    }
  }

  /// Connects with the first answer while nothing is opened ahead, medians.
  public record Unpredicted(double directMillis, double relayedMillis) {}

  /// One connection's bytes, MiB in a second.
  ///
  /// @param haProxy nothing where it is not installed
  public record Bulk(double direct, double relayed, Optional<Double> haProxy) {}

  /// Runs in the network that this process is in.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param err where the progress goes
  /// @param terminal whether that is a terminal
  public static Result run(List<String> prestage, PrintStream err, boolean terminal)
      throws IOException, InterruptedException {
    NetworkDemo.Scope scope = NetworkDemo.Scope.GATE;
    Progress progress = new Progress(err, terminal, 3 + NetworkDemo.steps(scope));
    progress.begin("starting a host");
    try (Setting setting = Setting.open(prestage, NetworkDemo.Link.DEVICE)) {
      NetworkReport report = new NetworkDemo(scope, setting, progress).run();
      setting.host().predicting(false);
      progress.begin("unpredicted");
      Unpredicted unpredicted = unpredicted(setting, progress);
      progress.begin("bulk");
      return new Result(report, unpredicted, bulk(setting, progress));
    } finally {
      progress.end();
    }
  }

  private static Unpredicted unpredicted(Setting setting, Progress progress) throws IOException {
    String direct = Requests.at(setting.far(), Upstream.DATABASE);
    String relayed = relay(setting.host(), "alone", direct);
    String near = DelayedLink.NEAR + direct.substring(direct.lastIndexOf(':'));
    String relayedNear = relay(setting.host(), "near", near);
    for (int pair = 0; pair < WARMING_PAIRS; pair++) {
      long _ = connect(near);
      long _ = connect(relayedNear);
    }
    List<Long> directNanos = new ArrayList<>();
    List<Long> relayedNanos = new ArrayList<>();
    for (int pair = 0; pair < PAIRS; pair++) {
      directNanos.add(connect(direct));
      relayedNanos.add(connect(relayed));
      progress.part(pair / (double) PAIRS);
    }
    return new Unpredicted(
        NetworkReport.millis(directNanos, 0.5), NetworkReport.millis(relayedNanos, 0.5));
  }

  private static long connect(String address) throws IOException {
    long began = System.nanoTime();
    try (Line line = new Line(address)) {
      line.ask();
      return System.nanoTime() - began;
    }
  }

  private static String relay(Host host, String vm, String upstream) throws IOException {
    return Requests.at(
        NetworkDemo.register(host, vm, vm, Map.of(Upstream.DATABASE, upstream)), Upstream.DATABASE);
  }

  private static Bulk bulk(Setting setting, Progress progress) throws IOException {
    try (BulkServer server = new BulkServer(BULK_BYTES)) {
      String relayed = relay(setting.host(), "bulk", server.address());
      Optional<HaProxy> peer = HaProxy.start(setting.folder(), server.address());
      List<Double> ofDirect = new ArrayList<>();
      List<Double> ofRelay = new ArrayList<>();
      List<Double> ofPeer = new ArrayList<>();
      try {
        for (int round = 0; round < BULK_ROUNDS; round++) {
          ofDirect.add(server.take(server.address()));
          ofRelay.add(server.take(relayed));
          if (peer.isPresent()) {
            ofPeer.add(server.take(peer.get().address()));
          }
          progress.part(round / (double) BULK_ROUNDS);
        }
      } finally {
        if (peer.isPresent()) {
          peer.get().close();
        }
      }
      return new Bulk(median(ofDirect), median(ofRelay), peer.map(_ -> median(ofPeer)));
    }
  }

  private static double median(List<Double> values) {
    return values.stream().sorted().toList().get(values.size() / 2);
  }
}
