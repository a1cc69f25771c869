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
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.LockSupport;
import java.util.function.ToLongFunction;

/// A web application whose database and cache are 40 ms away: connections that it opens itself,
/// connections of a pool that somebody set up by hand, and connections that Prestage opens ahead.
///
/// The application's runs are recorded ones ([Requests]). Prestage learns from other runs than
/// those that are measured, and each run is of another copy of the application; before a measured
/// one no connection is open. What was opened and used is counted at the upstreams.
public final class NetworkDemo {
  static final Duration ROUND_TRIP = Duration.ofMillis(40);

  private static final String PROGRAM = "shop";

  /// Pools of ten are what HikariCP and others make unless they are told otherwise.
  private static final int POOL = 10;

  /// From the start of the application's VM to its first possible request.
  private static final long STARTING_MILLIS = 500;

  private static final long SETTLE_SECONDS = 10;

  private final Scope scope;
  private final Host host;
  private final Progress progress;
  private final Map<Upstream, LineServer> servers;
  private final Link link;
  private final Map<Upstream, String> far;
  private int copies;

  /// How much runs, by the numbers of recorded runs.
  ///
  /// @param learnt runs that are learnt from
  /// @param measured runs of each mode
  public record Scope(List<Integer> learnt, List<Integer> measured) {
    /// What fits into a minute.
    public static final Scope DEMO = new Scope(List.of(1, 2), List.of(7, 8));

    /// What the gate holds.
    public static final Scope GATE = new Scope(List.of(1, 2, 3), List.of(5, 6, 7, 8));

    public Scope {
      learnt = List.copyOf(learnt);
      measured = List.copyOf(measured);
    }
  }

  /// What makes the upstreams far away.
  public enum Link {
    /// Needs a network of its own ([OwnNetwork]).
    DEVICE("a network device that delays every packet, those of handshakes too"),

    /// For systems that let this user have no such device.
    MODELLED(
        "modelled: the upstreams answer as late as over a link with handshakes of a round trip;"
            + " the kernel's own handshakes take no time");

    private final String text;

    Link(String text) {
      this.text = text;
    }
  }

  NetworkDemo(Scope scope, Setting setting, Progress progress) {
    this.scope = scope;
    this.host = setting.host();
    this.progress = progress;
    this.servers = setting.servers();
    this.link = setting.link();
    this.far = setting.far();
  }

  static int steps(Scope scope) {
    return scope.learnt().size() + 3 * scope.measured().size();
  }

  /// Runs in the network that this process is in.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param err where the progress goes
  /// @param terminal whether that is a terminal
  public static NetworkReport run(
      List<String> prestage, Scope scope, Link link, PrintStream err, boolean terminal)
      throws IOException, InterruptedException {
    Progress progress = new Progress(err, terminal, 1 + steps(scope));
    progress.begin("starting a host");
    try (Setting setting = Setting.open(prestage, link)) {
      return new NetworkDemo(scope, setting, progress).run();
    } finally {
      progress.end();
    }
  }

  /// The link, the upstreams behind it, and a host before it.
  ///
  /// @param device what delays, where it is one
  /// @param far where the upstreams are reached over the link
  record Setting(
      Link link,
      Optional<DelayedLink> device,
      Map<Upstream, LineServer> servers,
      Map<Upstream, String> far,
      Path folder,
      Host host)
      implements AutoCloseable {
    static Setting open(List<String> prestage, Link link) throws IOException, InterruptedException {
      Optional<DelayedLink> device = Optional.empty();
      String listening = "127.0.0.1";
      String reached = listening;
      Duration modelled = ROUND_TRIP;
      if (link == Link.DEVICE) {
        device = Optional.of(DelayedLink.open(ROUND_TRIP.dividedBy(2)));
        listening = DelayedLink.NEAR;
        reached = DelayedLink.FAR;
        modelled = Duration.ZERO;
      }
      Runtime.getRuntime().addShutdownHook(new Thread(Host::endAll, "clean"));
      Map<Upstream, LineServer> servers = new EnumMap<>(Upstream.class);
      Map<Upstream, String> far = new EnumMap<>(Upstream.class);
      for (Upstream upstream : Upstream.values()) {
        LineServer server = new LineServer(listening, 0, modelled);
        servers.put(upstream, server);
        far.put(upstream, reached + ":" + server.port());
      }
      Path folder = Files.createTempDirectory("prestage-network");
      Host host = Host.start(prestage, folder, "tier: {capacity: 64MiB}\n");
      return new Setting(link, device, servers, far, folder, host);
    }

    @Override
    public void close() throws IOException {
      host.close();
      for (LineServer server : servers.values()) {
        server.close();
      }
      device.ifPresent(DelayedLink::close);
      Folders.delete(folder);
    }
  }

  NetworkReport run() throws IOException, InterruptedException {
    for (int run : scope.learnt()) {
      Requests requests = Requests.load(run);
      progress.begin("learning from " + requests.name());
      List<Long> _ = predicted(requests);
    }
    Tally direct = new Tally("direct");
    Tally pooled = new Tally("pooled");
    Tally predicted = new Tally("predicted");
    // The modes take turns, so that a machine that becomes busy slows all of them.
    for (int run : scope.measured()) {
      Requests requests = Requests.load(run);
      direct.add(() -> serve(requests, new Connections.Fresh(far)));
      pooled.add(() -> serve(requests, new Connections.Pooled(far, POOL)));
      predicted.add(() -> predicted(requests));
    }
    return new NetworkReport(
        ROUND_TRIP.toNanos() / 1e6,
        link.text,
        List.of(direct.row(), pooled.row(), predicted.row()));
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
