package dev.prestage.benchmarks.engine;

import com.sun.management.ThreadMXBean;
import dev.prestage.benchmarks.Check;
import dev.prestage.engine.Engine;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.Models;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.stage.Stager;
import java.lang.management.ManagementFactory;
import java.util.BitSet;
import java.util.Random;
import java.util.function.Consumer;

/// What the engine thread does on a busy host: a hundred VMs of one program, each reading a hundred
/// units a second of a profile that is all here. Counted in processor time, beside the same with
/// prediction switched off.
public final class BusyHost {
  private static final int VMS = 100;
  private static final int READS_PER_SECOND = 100;
  private static final int PROFILE_UNITS = 3253;
  private static final int SPACE_UNITS = 163_840;

  /// Each VM has touched all of the profile by then, and its tables have grown.
  private static final int WARM_SECONDS = 40;

  private static final int START_SECONDS = 15;

  private static final int SECONDS = 20;

  /// The control plane takes reads in batches of 10 ms: one of each VM.
  private static final long STEP_NANOS = 1_000_000_000L / READS_PER_SECOND;

  private static final double MOST_PLAN_MICROS = 10;
  private static final double MOST_CORES = .5;

  private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private final Space space =
      new Space(
          0,
          ResourceType.FILE_BLOCK,
          "default",
          "image",
          Shape.blocks((long) SPACE_UNITS * Shape.BLOCK_BYTES));
  private final HybridForecaster forecaster = new HybridForecaster();
  private final int[] profile;
  private final Engine engine;
  private long nowNanos = 1_000_000_000_000L;
  private long planNanos;
  private long planBytes;

  private BusyHost(long seed) {
    this.profile = new Random(seed).ints(0, SPACE_UNITS).distinct().limit(PROFILE_UNITS).toArray();
    this.engine =
        new Engine(
            Thresholds.all(Thresholds.DEFAULT),
            Limits.DEFAULT,
            () -> nowNanos,
            new OneProgram(),
            new Nowhere(),
            _ -> {},
            (_, _, _, _) -> {},
            1);
  }

  /// Runs both and compares.
  public static void run(Consumer<Check> checks) {
    Cost off = new BusyHost(1).cost(false);
    Cost on = new BusyHost(1).cost(true);
    checks.accept(
        Check.atMost(
            "microseconds of processor time a plan, 3,253 known and resident units",
            on.planNanos() / 1e3,
            MOST_PLAN_MICROS));
    checks.accept(Check.atMost("bytes allocated a plan", on.planBytes(), .5));
    checks.accept(
        Check.atMost(
            "cores for 100 VMs that each read 100 extents a second", on.running(), MOST_CORES));
    checks.accept(new Check("the same, only observing", off.running(), "to be seen", true));
    checks.accept(Check.atMost("cores while all of them start at once", on.starting(), MOST_CORES));
    checks.accept(new Check("the same, only observing", off.starting(), "to be seen", true));
  }

  /// @param planNanos processor time of one VM's plan
  /// @param planBytes what it allocated
  /// @param starting processor time for each second while all of them touch what is new to them
  /// @param running the same later
  private record Cost(double planNanos, double planBytes, double starting, double running) {}

  private Cost cost(boolean predicting) {
    BitSet all = new BitSet();
    all.set(0, SPACE_UNITS);
    Program program = new Program(1, "default", "web");
    for (int vm = 0; vm < VMS; vm++) {
      engine.bound(new Binding(vm, new Vm(vm, "vm" + vm, program), "disk0", space));
    }
    engine.resident(0, all);
    engine.confirmed();
    learn();
    engine.predicting(predicting);
    for (int vm = 0; vm < VMS; vm++) {
      engine.started(vm);
    }
    double starting = cores(START_SECONDS);
    cores(WARM_SECONDS - START_SECONDS);
    planNanos = 0;
    planBytes = 0;
    double running = cores(SECONDS);
    double plans = (double) SECONDS * READS_PER_SECOND * VMS;
    return new Cost(planNanos / plans, planBytes / plans, starting, running);
  }

  private double cores(int seconds) {
    long before = threads.getCurrentThreadCpuTime();
    run(seconds * READS_PER_SECOND);
    return (threads.getCurrentThreadCpuTime() - before) / 1e9 / seconds;
  }

  private void learn() {
    Forecaster.Cursor cursor = forecaster.start(0, nowNanos);
    for (int i = 0; i < profile.length; i++) {
      cursor.observe(access(0, Access.NO_RUN, i));
    }
    cursor.stop(nowNanos);
  }

  private void run(int steps) {
    for (int step = 0; step < steps; step++) {
      nowNanos += STEP_NANOS;
      for (int vm = 0; vm < VMS; vm++) {
        long run = engine.runOf(vm, AccessType.READ, nowNanos);
        // Each is elsewhere in the profile.
        engine.accessed(access(vm, run, (step + 31 * vm) % profile.length));
      }
      long bytes = threads.getCurrentThreadAllocatedBytes();
      long cpu = threads.getCurrentThreadCpuTime();
      engine.planTouched();
      planNanos += threads.getCurrentThreadCpuTime() - cpu;
      planBytes += threads.getCurrentThreadAllocatedBytes() - bytes;
    }
  }

  private Access access(int binding, long run, int place) {
    return new Access(
        binding,
        run,
        Resource.of(0, profile[place]),
        nowNanos,
        AccessType.READ,
        Shape.BLOCK_BYTES,
        Cause.DEMAND,
        false,
        1);
  }

  private final class OneProgram implements Models {
    @Override
    public Forecaster of(Program program, ResourceType type) {
      return forecaster;
    }

    @Override
    public void learnt(Program program, ResourceType type) {}
  }

  /// Nothing is staged where all is here; a lease that was granted nonetheless is seen in what a
  /// plan allocates.
  private static final class Nowhere implements Stager {
    @Override
    public void stage(Lease lease) {}

    @Override
    public void cancel(long leaseId) {}

    @Override
    public void reclaim(long leaseId) {}
  }
}
