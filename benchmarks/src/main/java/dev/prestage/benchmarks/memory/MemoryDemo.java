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

/// One program, restored again and again from a snapshot that is not in the page cache: with its
/// pages on demand, resumed at once while Prestage fills pages in, and resumed when those are in.
///
/// No two runs touch the same pages in the same order: two in a hundred ranges are another run's
/// own. Each byte that is read is checked.
public final class MemoryDemo {
  static final String ON_DEMAND = "on demand";
  static final String AT_ONCE = "resumed at once";
  static final String WHEN_AVAILABLE = "resumed when available";

  private static final String PROGRAM = "box";
  private static final String SNAPSHOT = "snapshot.mem";
  private static final int PAGE = 4096;
  private static final int SEED = 7;

  private final Scope scope;
  private final Host host;
  private final Path snapshot;
  private final Path guest;
  private final Progress progress;
  private int runs;

  /// How much runs.
  ///
  /// @param snapshotBytes the size of the snapshot
  /// @param touchedBytes what the program touches of it
  /// @param measured runs of each mode
  public record Scope(long snapshotBytes, long touchedBytes, int measured) {
    /// What fits into a minute.
    public static final Scope DEMO = new Scope(256L << 20, 32L << 20, 1);

    /// What the gate holds.
    public static final Scope GATE = new Scope(1L << 30, 64L << 20, 3);
  }

  private MemoryDemo(Scope scope, Host host, Path snapshot, Path guest, Progress progress) {
    this.scope = scope;
    this.host = host;
    this.snapshot = snapshot;
    this.guest = guest;
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
    Progress progress = new Progress(err, terminal, 3 + 3 * scope.measured());
    Runtime.getRuntime().addShutdownHook(new Thread(Host::endAll, "clean"));
    Path folder = Files.createTempDirectory("prestage-memory");
    try {
      progress.begin("writing a snapshot");
      Path images = Files.createDirectories(folder.resolve("images"));
      Path snapshot = images.resolve(SNAPSHOT);
      Path guest = Guest.compile(folder);
      Guest.start(guest, snapshot, scope.snapshotBytes()).close();
      progress.begin("starting a host");
      try (Host host =
          Host.start(
              prestage,
              folder.resolve("host"),
              "origins:\n  - {name: local, directory: "
                  + images
                  + "}\ntier: {capacity: 1GiB}\nhistory: {enabled: false}\n")) {
        return new MemoryDemo(scope, host, snapshot, guest, progress).run();
      }
    } finally {
      progress.end();
      Folders.delete(folder);
    }
  }

  private MemoryReport run() throws IOException, InterruptedException {
    progress.begin("learning");
    host.predicting(false);
    MemoryReport.Row _ = restore(ON_DEMAND);
    List<List<MemoryReport.Row>> all = new ArrayList<>();
    List<String> modes = List.of(ON_DEMAND, AT_ONCE, WHEN_AVAILABLE);
    modes.forEach(_ -> all.add(new ArrayList<>()));
    // The modes take turns, so that a machine that becomes busy slows all of them.
    for (int run = 0; run < scope.measured(); run++) {
      for (int mode = 0; mode < modes.size(); mode++) {
        progress.begin(modes.get(mode));
        host.predicting(mode > 0);
        all.get(mode).add(restore(modes.get(mode)));
      }
    }
    return new MemoryReport(all.stream().map(MemoryDemo::median).toList());
  }

  /// One restore of one more copy, and its run.
  private MemoryReport.Row restore(String mode) throws IOException {
    String vm = PROGRAM + "-" + ++runs;
    String socket = host.registerMemory(vm, PROGRAM, SNAPSHOT);
    long wait = 0;
    long stall;
    Host.Numbers numbers;
    try (Guest restored = Guest.start(guest, snapshot, scope.snapshotBytes())) {
      restored.evict();
      long began = System.nanoTime();
      host.startProgram(vm);
      restored.restore(socket);
      if (mode.equals(WHEN_AVAILABLE)) {
        host.allocate(vm);
      }
      wait = System.nanoTime() - began;
      stall = restored.walk(scope.touchedBytes() / PAGE, SEED, runs);
      numbers = host.awaitNumbers(of("memory_connections", vm), 1);
      numbers = settled(vm, numbers);
    }
    host.stopProgram(vm);
    host.awaitZero(of("memory_connections", vm));
    host.remove(vm);
    return new MemoryReport.Row(
        mode,
        wait / 1e6,
        stall / 1e6,
        numbers.of(of("memory_faults_total", vm)),
        numbers.of(of("memory_staged_total", vm)));
  }

  /// The numbers once all that was touched is counted; they come each second.
  private Host.Numbers settled(String vm, Host.Numbers first) throws IOException {
    long touched = scope.touchedBytes() / PAGE;
    Host.Numbers numbers = first;
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
    return "prestage_" + name + "{as=\"memory\",vm=\"" + vm + "\"}";
  }

  private static MemoryReport.Row median(List<MemoryReport.Row> rows) {
    int middle = rows.size() / 2;
    return new MemoryReport.Row(
        rows.getFirst().mode(),
        rows.stream().mapToDouble(MemoryReport.Row::waitMillis).sorted().toArray()[middle],
        rows.stream().mapToDouble(MemoryReport.Row::stallMillis).sorted().toArray()[middle],
        rows.stream().mapToLong(MemoryReport.Row::faults).sorted().toArray()[middle],
        rows.stream().mapToLong(MemoryReport.Row::staged).sorted().toArray()[middle]);
  }
}
