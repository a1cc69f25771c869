package dev.prestage.benchmarks.network;

import dev.prestage.benchmarks.demo.Folders;
import dev.prestage.benchmarks.demo.Host;
import dev.prestage.benchmarks.demo.Progress;
import dev.prestage.benchmarks.network.Requests.Upstream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.LockSupport;
import java.util.function.ToLongFunction;

/// A web application whose database and cache are 40 ms away: connections that it opens itself,
/// connections of a pool that somebody set up by hand, and connections that Prestage opens ahead.
///
/// Prestage learns from runs with other requests than those that are measured, and each run is of
/// another copy of the application; before a measured one no connection is open. What was opened
/// and used is counted at the upstreams. Needs a network of its own ([OwnNetwork]).
public final class NetworkDemo {
  static final Duration ROUND_TRIP = Duration.ofMillis(40);

  private static final String PROGRAM = "shop";

  /// Pools of ten are what HikariCP and others make unless they are told otherwise.
  private static final int POOL = 10;

  private static final long LEARNT_SEED = 1;
  private static final long MEASURED_SEED = 101;

  /// From the start of the application's VM to its first possible request.
  private static final long STARTING_MILLIS = 500;

  private static final long SETTLE_SECONDS = 10;

  private final Scope scope;
  private final Host host;
  private final Progress progress;
  private final Map<Upstream, LineServer> servers;
  private final Map<Upstream, String> far = new EnumMap<>(Upstream.class);
  private int copies;

  /// How much runs.
  ///
  /// @param learnt runs that are learnt from
  /// @param measured runs of each mode
  /// @param requests of each run
  public record Scope(int learnt, int measured, int requests) {
    /// What fits into a minute.
    public static final Scope DEMO = new Scope(2, 2, 20);

    /// What the gate holds.
    public static final Scope GATE = new Scope(3, 4, 30);
  }

  NetworkDemo(Scope scope, Host host, Progress progress, Map<Upstream, LineServer> servers) {
    this.scope = scope;
    this.host = host;
    this.progress = progress;
    this.servers = servers;
    servers.forEach((upstream, server) -> far.put(upstream, DelayedLink.FAR + ":" + server.port()));
  }

  static int steps(Scope scope) {
    return scope.learnt() + 3 * scope.measured();
  }

  /// Runs in the network that this process is in.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param err where the progress goes
  /// @param terminal whether that is a terminal
  public static NetworkReport run(
      List<String> prestage, Scope scope, PrintStream err, boolean terminal)
      throws IOException, InterruptedException {
    Progress progress = new Progress(err, terminal, 1 + steps(scope));
    progress.begin("starting a host");
    try (Setting setting = Setting.open(prestage)) {
      return new NetworkDemo(scope, setting.host(), progress, setting.servers()).run();
    } finally {
      progress.end();
    }
  }

  /// The link, the upstreams behind it, and a host before it.
  record Setting(DelayedLink link, Map<Upstream, LineServer> servers, Path folder, Host host)
      implements AutoCloseable {
    static Setting open(List<String> prestage) throws IOException, InterruptedException {
      DelayedLink link = DelayedLink.open(ROUND_TRIP.dividedBy(2));
      Runtime.getRuntime().addShutdownHook(new Thread(Host::endAll, "clean"));
      Map<Upstream, LineServer> servers = new EnumMap<>(Upstream.class);
      for (Upstream upstream : Upstream.values()) {
        servers.put(upstream, new LineServer(DelayedLink.NEAR, 0));
      }
      Path folder = Files.createTempDirectory("prestage-network");
      Host host = Host.start(prestage, folder, "tier: {capacity: 64MiB}\n");
      return new Setting(link, servers, folder, host);
    }

    @Override
    public void close() throws IOException {
      host.close();
      for (LineServer server : servers.values()) {
        server.close();
      }
      link.close();
      Folders.delete(folder);
    }
  }

  NetworkReport run() throws IOException, InterruptedException {
    for (int run = 0; run < scope.learnt(); run++) {
      progress.begin("learning run " + (run + 1) + " of " + scope.learnt());
      List<Long> _ = predicted(Requests.of(LEARNT_SEED + run, scope.requests()));
    }
    Tally direct = new Tally("direct");
    Tally pooled = new Tally("pooled");
    Tally predicted = new Tally("predicted");
    // The modes take turns, so that a machine that becomes busy slows all of them.
    for (int run = 0; run < scope.measured(); run++) {
      Requests requests = Requests.of(MEASURED_SEED + run, scope.requests());
      direct.add(() -> serve(requests, new Connections.Fresh(far)));
      pooled.add(() -> serve(requests, new Connections.Pooled(far, POOL)));
      predicted.add(() -> predicted(requests));
    }
    return new NetworkReport(
        ROUND_TRIP.toNanos() / 1e6, List.of(direct.row(), pooled.row(), predicted.row()));
  }

  private static List<Long> serve(Requests requests, Connections connections)
      throws IOException, InterruptedException {
    try (connections) {
      return Service.serve(requests, connections);
    }
  }

  /// A run of one more copy, through Prestage.
  private List<Long> predicted(Requests requests) throws IOException, InterruptedException {
    String vm = PROGRAM + "-" + ++copies;
    Map<Upstream, String> near = register(host, vm, PROGRAM, far);
    host.startProgram(vm);
    LockSupport.parkNanos(Duration.ofMillis(STARTING_MILLIS).toNanos());
    List<Long> nanos = serve(requests, new Connections.Fresh(near));
    host.stopProgram(vm);
    host.remove(vm);
    return nanos;
  }

  /// Registers a VM with connections to these upstreams.
  ///
  /// @return where it reaches them
  static Map<Upstream, String> register(
      Host host, String vm, String program, Map<Upstream, String> upstreams) throws IOException {
    Map<String, String> named = new TreeMap<>();
    upstreams.forEach((upstream, address) -> named.put(name(upstream), address));
    Map<String, String> addresses = host.registerConnections(vm, program, named);
    Map<Upstream, String> near = new EnumMap<>(Upstream.class);
    for (Upstream upstream : upstreams.keySet()) {
      near.put(upstream, Requests.at(addresses, name(upstream)));
    }
    return near;
  }

  private static String name(Upstream upstream) {
    return upstream.name().toLowerCase(Locale.ROOT);
  }

  private interface Run {
    List<Long> go() throws IOException, InterruptedException;
  }

  /// What one mode reached so far.
  private final class Tally {
    private final String mode;
    private final List<Long> nanos = new ArrayList<>();
    private long opened;
    private long used;

    Tally(String mode) {
      this.mode = mode;
    }

    void add(Run run) throws IOException, InterruptedException {
      progress.begin(mode);
      settle();
      long openedBefore = sum(LineServer::opened);
      long usedBefore = sum(LineServer::used);
      nanos.addAll(run.go());
      settle();
      opened += sum(LineServer::opened) - openedBefore;
      used += sum(LineServer::used) - usedBefore;
    }

    NetworkReport.Row row() {
      return NetworkReport.Row.of(mode, nanos, opened, used);
    }
  }

  private long sum(ToLongFunction<LineServer> what) {
    return servers.values().stream().mapToLong(what).sum();
  }

  /// Waits until no connection is open any more.
  private void settle() throws IOException {
    long end = System.nanoTime() + Duration.ofSeconds(SETTLE_SECONDS).toNanos();
    while (sum(LineServer::open) > 0) {
      if (System.nanoTime() > end) {
        throw new IOException(sum(LineServer::open) + " connections stay open after a run");
      }
      LockSupport.parkNanos(Duration.ofMillis(10).toNanos());
    }
  }
}
