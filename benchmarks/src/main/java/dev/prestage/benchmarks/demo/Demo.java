package dev.prestage.benchmarks.demo;

import static java.util.Objects.requireNonNull;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;

/// The main job, shown: a program's boots are learnt on one host, carried to hosts that have the
/// model but not the bytes, and a boot that was never seen runs there in each of five modes. A
/// third case is a role that no host ever saw, on an image that another role made known.
///
/// All hosts are real Prestage processes. Each case belongs to a tenant of its own, and tenants
/// share no bytes, so all boots find the host cold.
public final class Demo {
  /// The programs: one Debian image in two roles.
  static final List<String> ROLES = List.of("web", "db");

  private static final List<String> MODES =
      List.of("none", "readahead", "replay", "predicted", "local");

  /// The third case: `db` boots where only `web` was learnt.
  static final String NEW_ROLE = "new";

  private static final List<String> NEW_ROLE_MODES = List.of("readahead", "replay", "predicted");

  /// What a demo runs.
  ///
  /// @param roles some of [#ROLES] and [#NEW_ROLE]
  /// @param modes some of `none`, `readahead`, `replay`, `predicted` and `local`, in this order;
  ///   `local` needs `none`, because it is its host's second boot
  public record Scope(List<String> roles, List<String> modes) {
    /// Everything.
    public static final Scope WHOLE = new Scope(List.of("web", "db", NEW_ROLE), MODES);

    /// What tells whether prediction works: one role with it and without.
    public static final Scope ONE_ROLE = new Scope(List.of("web"), List.of("none", "predicted"));

    private List<String> modesOf(String role) {
      return role.equals(NEW_ROLE)
          ? modes.stream().filter(NEW_ROLE_MODES::contains).toList()
          : modes;
    }
  }

  /// Recordings that are learnt from, and the one that is not.
  private static final List<Integer> LEARNT = List.of(1, 2, 3);

  private static final int UNSEEN = 4;

  private static final SeededImage IMAGE = new SeededImage(20261122, 1L << 30);
  private static final String IMAGE_NAME = "debian12.raw";

  /// A NAS in the next building: 10 ms and 200 MB/s away.
  private static final String FAR = "faults: {latency: 10ms, bandwidth: 200MB/s}";

  private static final long EXTENT_BYTES = 64 * 1024;

  private final List<String> prestage;
  private final Scope scope;
  private final Path folder;
  private final Path work;
  private final Progress progress;
  private final Map<String, Recording> recordings = new HashMap<>();
  private final List<DemoReport.Row> rows = new ArrayList<>();

  private Demo(List<String> prestage, Scope scope, Path folder, Path work, Progress progress) {
    this.prestage = prestage;
    this.scope = scope;
    this.folder = folder;
    this.work = work;
    this.progress = progress;
  }

  /// Runs; about a minute and a half for the whole.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param scope what to run
  /// @param folder where the image is kept between demos
  /// @param err where the progress goes
  /// @param terminal whether that is a terminal
  public static DemoReport run(
      List<String> prestage, Scope scope, Path folder, PrintStream err, boolean terminal)
      throws IOException, InterruptedException {
    int steps = 1;
    for (String role : scope.roles()) {
      steps += learntBoots(role).size() + scope.modesOf(role).size();
    }
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
      return new Demo(prestage, scope, folder, work, progress).run();
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
      Map<String, Future<Host>> serving = new LinkedHashMap<>();
      for (String mode : scope.modes()) {
        if (!mode.equals("local")) {
          serving.put(mode, hosts.start(() -> host(mode, forecaster(mode), FAR)));
        }
      }
      Map<String, byte[]> models = learn(HostPark.get(learning));
      hosts.awaitAll();
      for (Map.Entry<String, Future<Host>> host : serving.entrySet()) {
        prepare(host.getKey(), HostPark.get(host.getValue()), models);
      }
      // The modes of a role follow each other, so that a machine that becomes busy slows all of
      // them.
      for (String role : scope.roles()) {
        for (String mode : scope.modesOf(role)) {
          // The same boot twice on one host: first nothing is there, then everything is.
          String hostName = mode.equals("local") ? "none" : mode;
          progress.begin(mode + ": " + role);
          rows.add(
              measured(HostPark.get(requireNonNull(serving.get(hostName))), hostName, mode, role));
        }
      }
    }
    return new DemoReport(List.copyOf(rows));
  }

  /// What the host of a mode serves with.
  private static String forecaster(String mode) {
    return switch (mode) {
      case "readahead", "replay" -> mode;
      default -> "prestage";
    };
  }

  private static void prepare(String mode, Host host, Map<String, byte[]> models)
      throws IOException {
    switch (mode) {
      case "none" -> host.predicting(false);
      case "readahead" -> {
        // It needs no model.
      }
      default -> {
        for (byte[] model : models.values()) {
          int _ = host.importModel(model);
        }
      }
    }
  }

  /// The host where earlier copies ran; there the image is near.
  private Map<String, byte[]> learn(Host host) throws IOException {
    Map<String, byte[]> models = new HashMap<>();
    for (String role : scope.roles()) {
      String program = role.equals(NEW_ROLE) ? "web" : role;
      for (int run : learntBoots(role)) {
        progress.begin("learning " + role + ", boot " + run + " of " + learntBoots(role).size());
        boot(host, "learning", role, program, run);
      }
      models.put(role, host.exportModel(program, role));
    }
    return models;
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

  /// Of a role that nobody knows, its image was seen once.
  private static List<Integer> learntBoots(String role) {
    return role.equals(NEW_ROLE) ? LEARNT.subList(0, 1) : LEARNT;
  }

  /// @param role the case, which is the tenant
  private BootReplay.Result boot(Host host, String hostName, String role, String program, int run)
      throws IOException {
    String vm = role + "-" + run;
    host.register(vm, role, program, IMAGE_NAME);
    BootReplay.Result result =
        BootReplay.run(
            recording(program, run),
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
    String program = role.equals(NEW_ROLE) ? "db" : role;
    String vm = role + "-" + UNSEEN;
    String reads = "prestage_demand_reads_total{vm=\"" + vm + "\"}";
    String waits = "prestage_demand_waits_total{vm=\"" + vm + "\"}";
    String fetched = "prestage_fetched_bytes_total{origin=\"nas\"}";
    Host.Numbers earlier = host.numbers(vm, 0);
    BootReplay.Result result = boot(host, hostName, role, program, UNSEEN);
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
        recording(program, UNSEEN).bytes(),
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

  private Recording recording(String program, int run) throws IOException {
    String name = program + "-" + run;
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
