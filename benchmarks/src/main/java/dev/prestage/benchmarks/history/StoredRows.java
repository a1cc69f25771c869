package dev.prestage.benchmarks.history;

import dev.prestage.control.ControlPlane;
import dev.prestage.control.HistoryAnswers;
import dev.prestage.control.aggregate.Transitions;
import dev.prestage.control.aggregate.Usage;
import dev.prestage.control.command.Command;
import dev.prestage.control.command.Refusal;
import dev.prestage.control.command.Reply;
import dev.prestage.control.record.HistoryKeeper;
import dev.prestage.control.record.HistoryWriter;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.history.AccessHistory;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.time.Clock;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;

/// Twenty million accesses of a hundred VMs within six hours, written as fast as the history takes
/// them and then asked about.
///
/// Each VM starts its program some times an hour and reads its image mostly in the same order: a
/// read repeats the next unit of its profile, or, one time in eight, takes any unit of the image.
final class StoredRows {
  private static final int ROWS = 20_000_000;
  private static final int VMS = 100;
  private static final int PROGRAMS = 10;
  private static final int PROFILE = 3000;
  private static final int IMAGE_UNITS = 32_768;
  private static final long BEGIN = 1_767_225_600_000_000_000L;
  private static final long STEP_NANOS = Duration.ofHours(6).toNanos() / ROWS;
  private static final int QUESTIONS = 5;
  private static final Duration PATIENCE = Duration.ofMinutes(2);

  /// @param rate rows a second, written and visible
  /// @param rowBytes on disk
  /// @param topMillis median of some questions
  /// @param transitionsRate rows a second
  record Result(double rate, double rowBytes, double topMillis, double transitionsRate) {}

  private StoredRows() {}

  static Result measure(Path folder) throws IOException, InterruptedException {
    AtomicLong now = new AtomicLong(BEGIN);
    Clock clock = now::get;
    HistoryKeeper keeper =
        new HistoryKeeper(
            folder,
            new HistoryKeeper.Retention(Duration.ofDays(30), 64L << 30, Duration.ofDays(400)),
            false,
            clock,
            _ -> {});
    Result result;
    try (HistoryWriter history = new HistoryWriter(keeper, System::nanoTime, _ -> {})) {
      double rate = write(history, now);
      result = new Result(rate, 0, topMillis(new Sink(history, keeper)), transitionsRate(history));
    } catch (Refusal e) {
      throw new IOException(e.getMessage(), e);
    }
    // While it is open, the newest hour's files are longer than what they hold.
    return new Result(
        result.rate(), (double) size(folder) / ROWS, result.topMillis(), result.transitionsRate());
  }

  private static double write(HistoryWriter history, AtomicLong now)
      throws IOException, InterruptedException {
    List<Binding> disks = new ArrayList<>();
    for (int vm = 0; vm < VMS; vm++) {
      int program = vm % PROGRAMS;
      disks.add(
          new Binding(
              vm,
              new Vm(vm, "vm" + vm, new Program(program, "default", "program" + program)),
              "disk0",
              new Space(
                  program,
                  ResourceType.FILE_BLOCK,
                  "default",
                  "image" + program,
                  Shape.blocks((long) IMAGE_UNITS * Shape.BLOCK_BYTES))));
    }
    if (!history.flush(PATIENCE)) {
      throw new IOException("history does not open: " + history.health());
    }
    var random = new SplittableRandom(1);
    int[] place = new int[VMS];
    long began = System.nanoTime();
    for (int row = 0; row < ROWS; row++) {
      int vm = random.nextInt(VMS);
      Binding disk = disks.get(vm);
      long unit =
          random.nextInt(8) == 0
              ? random.nextInt(IMAGE_UNITS)
              : (long) (place[vm]++ % PROFILE) * 7 % IMAGE_UNITS;
      long time = BEGIN + row * STEP_NANOS;
      now.set(time);
      Access access =
          new Access(
              vm,
              1 + place[vm] / PROFILE,
              Resource.of(disk.space().id(), unit),
              time,
              AccessType.READ,
              4096,
              Cause.DEMAND,
              random.nextInt(50) == 0,
              20_000 + random.nextInt(1 << 20));
      while (!history.offer(access, disk)) {
        LockSupport.parkNanos(100_000);
      }
    }
    if (!history.flush(PATIENCE)) {
      throw new IOException("history did not write: " + history.health());
    }
    double rate = ROWS / ((System.nanoTime() - began) / 1e9);
    if (history.written() != ROWS) {
      throw new IOException("history wrote " + history.written() + " of " + ROWS + " rows");
    }
    return rate;
  }

  private static AccessHistory.Selection all() {
    return new AccessHistory.Selection(null, null, null, BEGIN, Long.MAX_VALUE);
  }

  /// As the control plane asks.
  private record Sink(HistoryWriter writer, HistoryKeeper keeper)
      implements ControlPlane.HistorySink {
    @Override
    public void offer(Access access, Binding binding) {
      boolean _ = writer.offer(access, binding);
    }

    @Override
    public void forget(Vm vm) {}

    @Override
    public List<AccessHistory.Row> find(AccessHistory.Query query) throws Refusal {
      return writer.find(query);
    }

    @Override
    public void scan(AccessHistory.Selection selection, AccessHistory.Visitor visitor)
        throws Refusal {
      writer.scan(selection, visitor);
    }

    @Override
    public Iterator<Usage> usage(long fromNanos, long toNanos) {
      return keeper.usage(fromNanos, toNanos);
    }

    @Override
    public String state() {
      return writer.health();
    }
  }

  private static double topMillis(ControlPlane.HistorySink history) throws Refusal {
    double[] millis = new double[QUESTIONS];
    for (int i = 0; i < QUESTIONS; i++) {
      long began = System.nanoTime();
      var question = new Command.ShowTop(all(), Command.By.RESOURCE, Usage.BURST_GAP_NANOS, 20);
      long touches =
          HistoryAnswers.to(question, history) instanceof Reply.Top top ? top.touches() : 0;
      millis[i] = (System.nanoTime() - began) / 1e6;
      if (touches != ROWS) {
        throw new IllegalStateException("counted " + touches + " touches of " + ROWS);
      }
    }
    Arrays.sort(millis);
    return millis[QUESTIONS / 2];
  }

  /// Over a quarter of the rows: the control plane gives up on an answer that takes half a minute.
  private static double transitionsRate(HistoryWriter history) throws Refusal {
    long end = BEGIN + ROWS / 4 * STEP_NANOS;
    double[] rates = new double[QUESTIONS];
    for (int i = 0; i < QUESTIONS; i++) {
      long began = System.nanoTime();
      var transitions = new Transitions();
      history.scan(new AccessHistory.Selection(null, null, null, BEGIN, end), transitions);
      if (transitions.reply(20).transitions() == 0) {
        throw new IllegalStateException("no transitions");
      }
      rates[i] = ROWS / 4 / ((System.nanoTime() - began) / 1e9);
    }
    Arrays.sort(rates);
    return rates[QUESTIONS / 2];
  }

  private static long size(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .filter(Files::isRegularFile)
          .mapToLong(file -> {
            try {
              return Files.size(file);
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          })
          .sum();
    }
  }
}
