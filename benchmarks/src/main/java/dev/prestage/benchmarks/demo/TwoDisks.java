package dev.prestage.benchmarks.demo;

import com.fasterxml.jackson.databind.JsonNode;
import dev.prestage.benchmarks.demo.DemoGate.Check;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/// A VM with two disks on two images: the recorded boots of two roles, one on each disk, at the
/// same time and as one run of one program. Learnt on one host, then a boot that was never seen on
/// hosts without its bytes, with and without prediction.
public final class TwoDisks {
  private static final String PROGRAM = "two";

  /// The roles whose boots the two disks see.
  private static final List<String> DISKS = List.of("web", "db");

  private static final List<Integer> LEARNT = List.of(1, 2, 3);
  private static final int UNSEEN = 4;
  private static final double MOST_WAITS = 0.05;
  private static final SeededImage IMAGE = new SeededImage(20261122, 1L << 30);

  private final List<String> prestage;
  private final Path folder;
  private final Path work;
  private final Progress progress;

  private TwoDisks(List<String> prestage, Path folder, Path work, Progress progress) {
    this.prestage = prestage;
    this.folder = folder;
    this.work = work;
    this.progress = progress;
  }

  /// Runs, and compares what was counted with its limits.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param folder where the demo keeps its image
  /// @param err where the progress goes
  /// @param terminal whether that is a terminal
  public static List<Check> run(
      List<String> prestage, Path folder, PrintStream err, boolean terminal)
      throws IOException, InterruptedException {
    Progress progress = new Progress(err, terminal, 3 + LEARNT.size());
    Path work = Files.createTempDirectory("prestage-disks");
    Thread cleaning = new Thread(Host::endAll, "clean");
    Runtime.getRuntime().addShutdownHook(cleaning);
    try {
      return new TwoDisks(prestage, folder, work, progress).run();
    } finally {
      progress.end();
      Folders.delete(work);
    }
  }

  private List<Check> run() throws IOException, InterruptedException {
    progress.begin("making the images");
    Path image = folder.resolve("images").resolve("debian12.raw");
    IMAGE.write(image);
    Path images = Files.createDirectories(folder.resolve("disks"));
    for (String disk : DISKS) {
      Path linked = images.resolve(disk + ".raw");
      Files.deleteIfExists(linked);
      Files.createLink(linked, image);
    }
    byte[] model;
    int runs;
    try (Host host = host("learning", "")) {
      for (int run : LEARNT) {
        progress.begin("learning boot " + run + " of " + LEARNT.size());
        boot(host, "learning", run);
      }
      model = host.exportModel(PROGRAM, PROGRAM);
    }
    String far = "faults: {latency: 10ms, bandwidth: 200MB/s}";
    List<Long> none;
    try (Host host = host("none", far)) {
      host.predicting(false);
      progress.begin("a boot without prediction");
      none = boot(host, "none", UNSEEN);
    }
    List<Long> predicted;
    JsonNode account;
    try (Host host = host("predicted", far)) {
      runs = host.importModel(model);
      progress.begin("the same boot, predicted");
      predicted = boot(host, "predicted", UNSEEN);
      account = host.account();
    }
    List<Check> checks = new ArrayList<>();
    for (int disk = 0; disk < DISKS.size(); disk++) {
      checks.add(
          new Check(
              DISKS.get(disk),
              "demand waits of no prefetch's",
              predicted.get(disk) / (double) none.get(disk),
              MOST_WAITS));
    }
    checks.add(
        new Check("both", "runs learnt and not one a boot", Math.abs(runs - LEARNT.size()), 0));
    checks.add(new Check("both", "units granted and not accounted for", missing(account), 0));
    return checks;
  }

  private static long missing(JsonNode account) {
    long ended = 0;
    for (JsonNode outcome : account.path("outcomes")) {
      ended += outcome.asLong();
    }
    return Math.abs(account.path("granted").asLong() - ended - account.path("live").asLong());
  }

  private Host host(String name, String faults) throws IOException, InterruptedException {
    return Host.start(
        prestage,
        work.resolve(name),
        """
        origins:
          - name: nas
            directory: %s
            %s
        tier: {capacity: 4GiB}
        """
            .formatted(folder.resolve("disks").toAbsolutePath(), faults));
  }

  /// One boot of both disks.
  ///
  /// @return how many reads of each disk had to wait
  private List<Long> boot(Host host, String hostName, int run)
      throws IOException, InterruptedException {
    String vm = "boot-" + run;
    host.register(vm, PROGRAM, PROGRAM, DISKS.stream().map(disk -> disk + ".raw").toList());
    host.startProgram(vm);
    Path socket = host.nbdSocket(work.resolve(hostName));
    List<Long> waits = new ArrayList<>();
    try (ExecutorService disks = Executors.newFixedThreadPool(DISKS.size())) {
      List<Future<BootReplay.Result>> boots = new ArrayList<>();
      for (int disk = 0; disk < DISKS.size(); disk++) {
        Recording recording = Recording.load(DISKS.get(disk) + "-" + run);
        String export = disk == 0 ? vm : vm + "/disk" + disk;
        Callable<BootReplay.Result> boot =
            () -> BootReplay.run(recording, IMAGE, socket, export, () -> {}, _ -> {});
        boots.add(disks.submit(boot));
      }
      for (int disk = 0; disk < DISKS.size(); disk++) {
        String labels =
            disk == 0 ? "{vm=\"" + vm + "\"}" : "{as=\"disk" + disk + "\",vm=\"" + vm + "\"}";
        int reads = get(boots.get(disk)).reads();
        waits.add(
            host.awaitNumbers("prestage_demand_reads_total" + labels, reads)
                .of("prestage_demand_waits_total" + labels));
      }
    }
    host.stopProgram(vm);
    return waits;
  }

  private static BootReplay.Result get(Future<BootReplay.Result> boot)
      throws IOException, InterruptedException {
    try {
      return boot.get();
    } catch (ExecutionException e) {
      throw new IOException(e.getCause());
    }
  }
}
