package dev.prestage.benchmarks.memory;

import dev.prestage.benchmarks.demo.Folders;
import dev.prestage.benchmarks.demo.Host;
import dev.prestage.benchmarks.demo.Progress;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// One program, restored again and again from a snapshot that is not in the page cache, in several
/// modes side by side.
///
/// No two runs touch the same pages in the same order: two in a hundred ranges are another run's
/// own, or ten. Each byte that is read is checked. Beside Prestage's modes stand those of a plain
/// handler in C: on demand, a replay of the pages of its first run, and the whole snapshot.
public final class MemoryDemo {
  private static final String PROGRAM = "box";
  private static final String SNAPSHOT = "snapshot.mem";
  private static final String MEMORY = "memory";
  private static final int PAGE = 4096;
  private static final int SEED = 7;

  /// What a round trip to the far origin takes.
  private static final String FAR = "faults: {latency: 10ms}, ";

  private final Path folder;
  private final Programs programs;
  private final Path snapshot;
  private final Progress progress;
  private long snapshotBytes;
  private int runs;

  /// How much runs.
  ///
  /// @param snapshotBytes the size of the snapshot
  /// @param touchedBytes what the program touches of it
  /// @param farBytes what it touches of it where that is far; 0 if that is left out
  /// @param measured runs of each mode
  /// @param modes of the near snapshot
  public record Scope(
      long snapshotBytes, long touchedBytes, long farBytes, int measured, List<Mode> modes) {
    /// What fits into a minute.
    public static final Scope DEMO =
        new Scope(
            256L << 20,
            32L << 20,
            0,
            1,
            List.of(
                Mode.ON_DEMAND,
                Mode.REPLAY,
                Mode.AT_ONCE,
                Mode.WHEN_AVAILABLE,
                Mode.PRE_POPULATED));

    /// What the gate holds. One run on demand over 10 ms takes 160 seconds for 64 MiB, hence less.
    public static final Scope GATE =
        new Scope(1L << 30, 64L << 20, 16L << 20, 3, List.of(Mode.values()));

    public Scope {
      modes = List.copyOf(modes);
    }
  }

  private MemoryDemo(Path folder, Programs programs, Path snapshot, Progress progress) {
    this.folder = folder;
    this.programs = programs;
    this.snapshot = snapshot;
    this.progress = progress;
  }

  /// Runs all modes.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param err where the progress goes
  /// @param terminal whether that is a terminal
  /// @throws IOException with one line where this machine cannot do it
  public static MemoryReport run(
      List<String> prestage, Scope scope, PrintStream err, boolean terminal)
      throws IOException, InterruptedException {
    int steps = 3 + scope.measured() * scope.modes().size();
    int far = scope.farBytes() > 0 ? 2 + 2 * scope.measured() : 0;
    Progress progress = new Progress(err, terminal, steps + far);
    Runtime.getRuntime().addShutdownHook(new Thread(Host::endAll, "clean"));
    Path folder = Files.createTempDirectory("prestage-memory");
    try {
      progress.begin("writing a snapshot");
      Path images = Files.createDirectories(folder.resolve("images"));
      Programs programs = Programs.compile(folder);
      MemoryDemo demo = new MemoryDemo(folder, programs, images.resolve(SNAPSHOT), progress);
      return demo.run(prestage, scope);
    } finally {
      progress.end();
      Folders.delete(folder);
    }
  }

  private MemoryReport run(List<String> prestage, Scope scope)
      throws IOException, InterruptedException {
    snapshotBytes = scope.snapshotBytes();
    Guest.start(programs.guest(), snapshot, snapshotBytes).close();
    progress.begin("starting a host");
    List<MemoryReport.Row> rows = new ArrayList<>();
    try (Host host = host(prestage, "near", "")) {
      rows.addAll(near(host, scope));
    }
    if (scope.farBytes() > 0) {
      progress.begin("starting a host with its origin 10 ms away");
      try (Host host = host(prestage, "far", FAR)) {
        rows.addAll(far(host, scope));
      }
    }
    return new MemoryReport(rows);
  }

  private Host host(List<String> prestage, String name, String faults)
      throws IOException, InterruptedException {
    return Host.start(
        prestage,
        folder.resolve(name),
        "origins:\n  - {name: local, %sdirectory: %s}\n".formatted(faults, snapshot.getParent())
            + "tier: {capacity: 1GiB}\nhistory: {enabled: false}\n");
  }

  private List<MemoryReport.Row> near(Host host, Scope scope) throws IOException {
    progress.begin("learning");
    long touched = scope.touchedBytes() / PAGE;
    host.predicting(false);
    MemoryReport.Row _ = handled(Mode.C_ON_DEMAND, "first", touched);
    MemoryReport.Row _ = restore(host, Mode.ON_DEMAND, touched);
    List<List<MemoryReport.Row>> all = new ArrayList<>();
    scope.modes().forEach(_ -> all.add(new ArrayList<>()));
    // The modes take turns, so that a machine that becomes busy slows all of them.
    for (int run = 0; run < scope.measured(); run++) {
      for (int i = 0; i < all.size(); i++) {
        Mode mode = scope.modes().get(i);
        progress.begin(mode.label());
        all.get(i)
            .add(mode.isHandled() ? handled(mode, "again", touched) : restore(host, mode, touched));
      }
    }
    return all.stream().map(MemoryReport.Row::median).toList();
  }

  /// What is on demand is measured in the run that is learnt from, because it takes long.
  private List<MemoryReport.Row> far(Host host, Scope scope) throws IOException {
    long touched = scope.farBytes() / PAGE;
    progress.begin(MemoryReport.FAR + Mode.ON_DEMAND.label());
    MemoryReport.Row onDemand = restore(host, Mode.ON_DEMAND, touched);
    List<MemoryReport.Row> atOnce = new ArrayList<>();
    List<MemoryReport.Row> available = new ArrayList<>();
    for (int run = 0; run < scope.measured(); run++) {
      progress.begin(MemoryReport.FAR + Mode.AT_ONCE.label());
      atOnce.add(restore(host, Mode.AT_ONCE, touched));
      progress.begin(MemoryReport.FAR + Mode.WHEN_AVAILABLE.label());
      available.add(restore(host, Mode.WHEN_AVAILABLE, touched));
    }
    return List.of(
        onDemand.far(),
        MemoryReport.Row.median(atOnce).far(),
        MemoryReport.Row.median(available).far());
  }

  /// One restore of one more copy, and its run.
  private MemoryReport.Row restore(Host host, Mode mode, long touched) throws IOException {
    String vm = PROGRAM + "-" + ++runs;
    host.predicting(mode != Mode.ON_DEMAND);
    String socket = host.registerMemory(vm, PROGRAM, SNAPSHOT);
    long unobserved = unobserved(host);
    long wait;
    long stall;
    long nanos;
    Host.Numbers numbers;
    try (Guest restored = Guest.start(programs.guest(), snapshot, snapshotBytes)) {
      restored.evict();
      long before = Processor.dataPlaneNanos(host.dataPlane());
      long began = System.nanoTime();
      host.startProgram(vm);
      restored.restore(socket);
      if (mode == Mode.WHEN_AVAILABLE || mode == Mode.OTHERS) {
        host.allocate(vm);
      }
      wait = System.nanoTime() - began;
      stall = restored.walk(touched, SEED, runs, mode.others());
      nanos = Processor.dataPlaneNanos(host.dataPlane()) - before;
      numbers = settled(host, vm, touched);
    }
    host.stopProgram(vm);
    host.awaitZero(of("memory_connections", vm));
    host.remove(vm);
    return new MemoryReport.Row(
        mode.label(),
        wait / 1e6,
        stall / 1e6,
        touched,
        numbers.of(of("memory_faults_total", vm)),
        numbers.of(of("memory_staged_total", vm)),
        unobserved(host) - unobserved,
        nanos);
  }

  private static long unobserved(Host host) throws IOException {
    return host.account().path("outcomes").path("unobserved").asLong();
  }

  /// The same with the handler in C.
  private MemoryReport.Row handled(Mode mode, String name, long touched) throws IOException {
    runs++;
    Path socket = folder.resolve("handler.sock");
    Path list = folder.resolve((mode == Mode.REPLAY ? "first" : name) + ".list");
    long wait;
    long stall;
    try (Handler handler =
        Handler.start(programs.handler(), socket, snapshot, mode.handlerMode(), list)) {
      try (Guest restored = Guest.start(programs.guest(), snapshot, snapshotBytes)) {
        restored.evict();
        long began = System.nanoTime();
        restored.restore(socket.toString());
        handler.awaitReady();
        wait = System.nanoTime() - began;
        stall = restored.walk(touched, SEED, runs, mode.others());
      }
      Handler.Account account = handler.account();
      return new MemoryReport.Row(
          mode.label(),
          wait / 1e6,
          stall / 1e6,
          touched,
          account.faults(),
          account.staged(),
          0,
          account.nanos());
    }
  }

  /// The numbers once all that was touched is counted; they come each second.
  private static Host.Numbers settled(Host host, String vm, long touched) throws IOException {
    Host.Numbers numbers = host.awaitNumbers(of("memory_connections", vm), 1);
    long end = System.nanoTime() + 10_000_000_000L;
    while (numbers.of(of("memory_faults_total", vm)) + numbers.of(of("memory_staged_total", vm))
        < touched) {
      if (System.nanoTime() > end) {
        throw new IOException("the host counts fewer pages than were touched");
      }
      numbers = host.awaitNumbers(of("memory_connections", vm), 1);
    }
    return numbers;
  }

  private static String of(String name, String vm) {
    return "prestage_" + name + "{as=\"" + MEMORY + "\",vm=\"" + vm + "\"}";
  }
}
