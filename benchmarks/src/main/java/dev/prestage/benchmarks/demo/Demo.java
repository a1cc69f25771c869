package dev.prestage.benchmarks.demo;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;

/// The main job, shown: a program's boots are learnt on one host, carried to hosts that have the
/// model but not the bytes, and a boot that was never seen runs there in each of five modes.
///
/// All hosts are real Prestage processes. The two roles of a host belong to two tenants, and
/// tenants share no bytes, so both boots find the host cold.
public final class Demo {
  /// The programs: one Debian image in two roles.
  static final List<String> ROLES = List.of("web", "db");

  private static final List<String> MODES =
      List.of("none", "readahead", "replay", "predicted", "local");

  /// Recordings that are learnt from, and the one that is not.
  private static final List<Integer> LEARNT = List.of(1, 2, 3);

  private static final int UNSEEN = 4;

  private static final SeededImage IMAGE = new SeededImage(20261122, 1L << 30);
  private static final String IMAGE_NAME = "debian12.raw";

  /// A NAS in the next building: 10 ms and 200 MB/s away.
  private static final String FAR = "faults: {latency: 10ms, bandwidth: 200MB/s}";

  private static final long EXTENT_BYTES = 64 * 1024;

  private final List<String> prestage;
  private final Path folder;
  private final Path work;
  private final Progress progress;
  private final Map<String, Recording> recordings = new HashMap<>();
  private final List<DemoReport.Row> rows = new ArrayList<>();

  private Demo(List<String> prestage, Path folder, Path work, Progress progress) {
    this.prestage = prestage;
    this.folder = folder;
    this.work = work;
    this.progress = progress;
  }

  /// Runs the whole; about a minute and a half.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param folder where the image is kept between demos
  /// @param err where the progress goes
  /// @param terminal whether that is a terminal
  public static DemoReport run(
      List<String> prestage, Path folder, PrintStream err, boolean terminal)
      throws IOException, InterruptedException {
    int steps = 1 + ROLES.size() * (LEARNT.size() + 5);
    // Sockets need short paths, so the hosts' folders are where temporary files are.
    Path work = Files.createTempDirectory("prestage-demo");
    Progress progress = new Progress(err, terminal, steps);
    // Whoever ends this process by a signal leaves no host behind.
    Thread cleaning =
        new Thread(
            () -> {
              Host.endAll();
              deleteQuietly(work);
            },
            "clean");
    Runtime.getRuntime().addShutdownHook(cleaning);
    try {
      return new Demo(prestage, folder, work, progress).run();
    } finally {
      progress.end();
      deleteQuietly(work);
    }
  }

  private DemoReport run() throws IOException, InterruptedException {
    progress.begin("making the image");
    IMAGE.write(folder.resolve("images").resolve(IMAGE_NAME));
    // Hosts take seconds to start. While earlier copies are learnt from nothing is measured, so
    // they start then.
    try (HostPark hosts = new HostPark()) {
      Future<Host> learning = hosts.start(() -> host("learning", "prestage", ""));
      Future<Host> none = hosts.start(() -> host("none", "prestage", FAR));
      Future<Host> readahead = hosts.start(() -> host("readahead", "readahead", FAR));
      Future<Host> replay = hosts.start(() -> host("replay", "replay", FAR));
      Future<Host> predicted = hosts.start(() -> host("predicted", "prestage", FAR));
      Map<String, byte[]> models = learn(HostPark.get(learning));
      hosts.awaitAll();
      withoutPrefetchAndLocal(HostPark.get(none));
      unseen("readahead", HostPark.get(readahead), Map.of());
      unseen("replay", HostPark.get(replay), models);
      unseen("predicted", HostPark.get(predicted), models);
    }
    rows.sort(
        Comparator.comparingInt((DemoReport.Row row) -> ROLES.indexOf(row.role()))
            .thenComparingInt(row -> MODES.indexOf(row.mode())));
    return new DemoReport(List.copyOf(rows));
  }

  /// The host where earlier copies ran; there the image is near.
  private Map<String, byte[]> learn(Host host) throws IOException {
    Map<String, byte[]> models = new HashMap<>();
    for (String role : ROLES) {
      for (int run : LEARNT) {
        progress.begin("learning " + role + ", boot " + run + " of " + LEARNT.size());
        boot(host, "learning", role, run);
      }
      models.put(role, host.exportModel(role, role));
    }
    return models;
  }

  /// The same boot twice on one host: first nothing is there, then everything is.
  private void withoutPrefetchAndLocal(Host host) throws IOException {
    host.predicting(false);
    for (String mode : List.of("none", "local")) {
      for (String role : ROLES) {
        progress.begin(mode + ": " + role);
        rows.add(measured(host, "none", mode, role));
      }
    }
  }

  private void unseen(String mode, Host host, Map<String, byte[]> models) throws IOException {
    for (byte[] model : models.values()) {
      host.importModel(model);
    }
    for (String role : ROLES) {
      progress.begin(mode + ": " + role);
      rows.add(measured(host, mode, mode, role));
    }
  }

  private Host host(String name, String forecaster, String faults)
      throws IOException, InterruptedException {
    return Host.start(
        prestage,
        work.resolve(name),
        """
        origins:
          - name: nas
            directory: %s
            %s
        tier: {capacity: 4GiB}
        predict: {forecaster: %s}
        """
            .formatted(folder.resolve("images").toAbsolutePath(), faults, forecaster));
  }

  private BootReplay.Result boot(Host host, String hostName, String role, int run)
      throws IOException {
    String vm = role + "-" + run;
    host.register(vm, role, role, IMAGE_NAME);
    BootReplay.Result result =
        BootReplay.run(
            recording(role, run),
            IMAGE,
            host.nbdSocket(work.resolve(hostName)),
            vm,
            () -> host.startProgram(vm),
            progress::part);
    host.stopProgram(vm);
    return result;
  }

  private DemoReport.Row measured(Host host, String hostName, String mode, String role)
      throws IOException {
    Staging before = Staging.of(host.account());
    String vm = role + "-" + UNSEEN;
    String reads = "prestage_demand_reads_total{vm=\"" + vm + "\"}";
    String waits = "prestage_demand_waits_total{vm=\"" + vm + "\"}";
    String fetched = "prestage_fetched_bytes_total{origin=\"nas\"}";
    Host.Numbers earlier = host.numbers(vm, 0);
    BootReplay.Result result = boot(host, hostName, role, UNSEEN);
    Host.Numbers numbers = host.numbers(vm, earlier.of(reads) + result.reads());
    Staging staged = Staging.of(host.account());
    return new DemoReport.Row(
        mode,
        role,
        result.reads(),
        numbers.of(waits) - earlier.of(waits),
        result.stallSeconds(),
        result.runSeconds(),
        numbers.of(fetched) - earlier.of(fetched),
        (staged.useful() - before.useful()) * EXTENT_BYTES,
        (staged.unused() - before.unused()) * EXTENT_BYTES,
        result.bytesVerified());
  }

  /// What was staged so far, in extents. What is ready at a run's end and was not asked for counts
  /// as unused, although its period for being given back has not passed yet.
  private record Staging(long useful, long unused) {
    static Staging of(JsonNode account) {
      JsonNode outcomes = account.path("outcomes");
      return new Staging(
          outcomes.path("useful").asLong(),
          account.path("live").asLong()
              + outcomes.path("unused").asLong()
              + outcomes.path("unobserved").asLong());
    }
  }

  private Recording recording(String role, int run) throws IOException {
    String name = role + "-" + run;
    Recording known = recordings.get(name);
    if (known == null) {
      known = Recording.load(name);
      recordings.put(name, known);
    }
    return known;
  }

  private static void deleteQuietly(Path folder) {
    try {
      Folders.delete(folder);
    } catch (IOException e) {
      System.err.println("prestage: " + folder + " could not be removed: " + e);
    }
  }
}
