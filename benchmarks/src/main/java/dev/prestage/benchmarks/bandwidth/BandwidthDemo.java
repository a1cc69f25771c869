package dev.prestage.benchmarks.bandwidth;

import dev.prestage.benchmarks.bandwidth.BandwidthReport.Row;
import dev.prestage.benchmarks.demo.Folders;
import dev.prestage.benchmarks.demo.Host;
import dev.prestage.benchmarks.demo.Progress;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/// A job that reads at 10 MB/s for some seconds of each run, two seconds after its start, beside
/// seven VMs that take all of a link of 20 MB/s that they can get.
///
/// What it reads is never the same, so no byte of it can be there before; what it needs of the link
/// is. It is learnt from a run without the others. The measured bursts ask for a quarter more than
/// that run did, so that a promise is put to the test and not the guest.
public final class BandwidthDemo {
  static final long LINK_BYTES = 20_000_000;
  static final int OTHERS = 7;

  private static final String ORIGIN = "nas";
  private static final String PROGRAM = "job";
  private static final long LEARNT_BYTES = 10_000_000;
  private static final long BURST_BYTES = 12_500_000;
  private static final double BURST_SECONDS = 3;

  /// From the start of the program to its burst. The numbers of a host are a second old at most.
  private static final double IDLE_SECONDS = 2;

  /// A level is given up a window and a half after its last use.
  private static final double SETTLE_SECONDS = 1.5;

  private static final int READS_OF_A_BURST = 256;
  private static final int READS_OF_OTHERS = 8192;

  private BandwidthDemo() {}

  /// Runs it.
  ///
  /// @param prestage the command line that runs `prestage`, without arguments
  /// @param err where the progress goes
  /// @param terminal whether that is a terminal
  public static BandwidthReport run(List<String> prestage, PrintStream err, boolean terminal)
      throws IOException, InterruptedException {
    Progress progress = new Progress(err, terminal, 6);
    List<Row> rows = new ArrayList<>();
    Row reactive;
    try {
      progress.begin("starting a host");
      try (Setting setting = Setting.open(prestage, "")) {
        progress.begin("learning from a run without others");
        setting.learn();
        setting.contend();
        progress.begin("fair share");
        setting.host.predicting(false);
        rows.add(setting.measure("fair share"));
        progress.begin("predicted");
        setting.host.predicting(true);
        rows.add(setting.measure("predicted"));
      }
      progress.begin("starting a host with the reactive rule");
      String rule = "predict: {enabled: false}\nbandwidth: {promises: reactive}\n";
      try (Setting setting = Setting.open(prestage, rule)) {
        setting.contend();
        progress.begin("reactive");
        reactive = setting.measure("reactive");
      }
    } finally {
      progress.end();
    }
    rows.add(1, reactive);
    return new BandwidthReport(LINK_BYTES, BURST_BYTES, OTHERS, rows);
  }

  /// A host behind a narrow link, with its VMs.
  static final class Setting implements AutoCloseable {
    final Host host;
    private final Path folder;
    private final List<Guest> others = new ArrayList<>();
    private int runs;

    private Setting(Path folder, Host host) {
      this.folder = folder;
      this.host = host;
    }

    static Setting open(List<String> prestage, String more)
        throws IOException, InterruptedException {
      Runtime.getRuntime().addShutdownHook(new Thread(Host::endAll, "clean"));
      Path folder = Files.createTempDirectory("prestage-bandwidth");
      Path images = Files.createDirectories(folder.resolve("origin"));
      image(images.resolve("job.raw"), 16 * READS_OF_A_BURST);
      image(images.resolve("boot.raw"), READS_OF_A_BURST);
      for (int other = 0; other < OTHERS; other++) {
        image(images.resolve("other" + other + ".raw"), READS_OF_OTHERS);
      }
      String rate = LINK_BYTES / 1_000_000 + "MB/s";
      Host host =
          Host.start(
              prestage,
              folder.resolve("host"),
              String.format(
                  Locale.ROOT,
                  "origins: [{name: %s, directory: %s, bandwidth: %s, faults: {latency: 2ms,"
                      + " bandwidth: %s}}]%ntier: {capacity: 256MiB}%n%s",
                  ORIGIN,
                  images,
                  rate,
                  rate,
                  more));
      return new Setting(folder, host);
    }

    /// A file with holes: what is in it does not matter, and reading it costs no disk.
    private static void image(Path file, int reads) throws IOException {
      try (FileChannel channel =
          FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        int _ = channel.write(ByteBuffer.allocate(1), (long) reads * Guest.READ_BYTES - 1);
      }
    }

    private Path socket() {
      return host.nbdSocket(folder.resolve("host"));
    }

    private Guest nextRun(String vm) throws IOException {
      int first = runs * READS_OF_A_BURST;
      return new Guest(socket(), vm, first, READS_OF_A_BURST, runs++);
    }

    /// A run while nobody else reads.
    void learn() throws IOException {
      host.registerReader("job-0", PROGRAM, "job.raw", ORIGIN);
      try (Guest guest = nextRun("job-0")) {
        host.startProgram("job-0");
        pause(IDLE_SECONDS);
        guest.burst(LEARNT_BYTES, BURST_SECONDS);
        pause(SETTLE_SECONDS);
        host.stopProgram("job-0");
      }
      pause(0.2);
      host.remove("job-0");
    }

    /// The others begin to read, and go on.
    void contend() throws IOException {
      for (int other = 0; other < OTHERS; other++) {
        String vm = "other-" + other;
        host.registerReader(vm, vm, "other" + other + ".raw", "");
        Guest guest = new Guest(socket(), vm, 0, READS_OF_OTHERS, 100 + other);
        others.add(guest);
        guest.readAll();
      }
    }

    /// What the others have got.
    long othersBytes() {
      return others.stream().mapToLong(Guest::bytes).sum();
    }

    /// A run of one more copy beside the others.
    Row measure(String mode) throws IOException {
      String vm = PROGRAM + "-" + runs;
      String label = "vm=\"" + vm + "\"";
      host.registerReader(vm, PROGRAM, "job.raw", ORIGIN);
      try (Guest guest = nextRun(vm)) {
        host.startProgram(vm);
        pause(IDLE_SECONDS);
        long reserved = host.numbers().sum("prestage_bandwidth_promised", label);
        long othersBefore = othersBytes();
        long began = System.nanoTime();
        Thread burst =
            Thread.ofPlatform().daemon().start(() -> burst(guest, BURST_BYTES, BURST_SECONDS));
        Guest.sleepUntil(began + nanos(1));
        long first = guest.bytes();
        Guest.sleepUntil(began + nanos(2.5));
        Host.Numbers then = host.numbers();
        Guest.sleepUntil(began + nanos(BURST_SECONDS));
        long got = guest.bytes();
        double seconds = (System.nanoTime() - began) / 1e9;
        long all = othersBytes() - othersBefore + got;
        burst.join();
        host.stopProgram(vm);
        return new Row(
            mode,
            first,
            Math.round(got / seconds),
            all / (LINK_BYTES * seconds),
            reserved,
            then.sum("prestage_bandwidth_promised", label),
            then.sum("prestage_bandwidth_ready", label));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted", e);
      }
    }

    private static void burst(Guest guest, long bytesPerSecond, double seconds) {
      try {
        guest.burst(bytesPerSecond, seconds);
      } catch (IOException e) {
        throw new IllegalStateException("the burst failed", e);
      }
    }

    /// What staging does to the others: their rate without, and beside it.
    Beside beside() throws IOException {
      host.registerReader("boot-0", "boot", "boot.raw", "");
      try (Guest guest = new Guest(socket(), "boot-0", 0, READS_OF_A_BURST, 1)) {
        host.startProgram("boot-0");
        guest.burst(LINK_BYTES / 8, 6);
        pause(SETTLE_SECONDS);
        host.stopProgram("boot-0");
      }
      host.remove("boot-0");
      host.purge("boot.raw");
      host.registerReader("boot-1", "boot", "boot.raw", "");
      pause(0.5);
      double without = othersRate();
      long before = staged();
      host.predicting(true);
      host.startProgram("boot-1");
      double with = othersRate();
      return new Beside(without, with, staged() - before);
    }

    private long staged() throws IOException {
      return host.numbers().sum("prestage_units_ended_total", "")
          + host.numbers().of("prestage_units_live");
    }

    private double othersRate() {
      long began = System.nanoTime();
      long before = othersBytes();
      pause(4);
      return (othersBytes() - before) / ((System.nanoTime() - began) / 1e9);
    }

    private static long nanos(double seconds) {
      return (long) (seconds * TimeUnit.SECONDS.toNanos(1));
    }

    private static void pause(double seconds) {
      Guest.sleepUntil(System.nanoTime() + nanos(seconds));
    }

    @Override
    public void close() throws IOException {
      try {
        for (Guest other : others) {
          other.close();
        }
      } finally {
        host.close();
        Folders.delete(folder);
      }
    }
  }

  /// What the others got in a second without staging and beside it.
  ///
  /// @param granted units that were granted to staging meanwhile
  record Beside(double withoutBytes, double withBytes, long granted) {}
}
