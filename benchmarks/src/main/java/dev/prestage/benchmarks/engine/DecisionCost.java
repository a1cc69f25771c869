package dev.prestage.benchmarks.engine;

import com.sun.management.ThreadMXBean;
import dev.prestage.benchmarks.Check;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.Decisions;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Planner;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

/// What a decision about one candidate costs the planner while 100,000 units are leased, in
/// processor time: where nothing is to be done, and where the unit is granted and its lease ends.
final class DecisionCost {
  private static final int LIVE_UNITS = 100_000;
  private static final int CANDIDATES = 1000;
  private static final int WARM_PLANS = 2000;
  private static final int PLANS = 2000;
  private static final double MOST_MICROS = 4;

  /// The best of so many passes counts: others on the machine only make a pass dearer.
  private static final int PASSES = 5;

  private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private final Space space =
      new Space(
          0,
          ResourceType.FILE_BLOCK,
          "default",
          "image",
          Shape.blocks((LIVE_UNITS + CANDIDATES) * (long) Shape.BLOCK_BYTES));
  private final List<Binding> bindings =
      List.of(new Binding(1, new Vm(1, "vm1", new Program(1, "default", "web")), "disk0", space));
  private final List<Lease> granted = new ArrayList<>();
  private final Proposals cursor = new Proposals();
  private final Planner planner;

  private DecisionCost(double threshold) {
    Limits limits =
        new Limits(
            Long.MAX_VALUE / 2,
            Integer.MAX_VALUE / 2,
            Duration.ofSeconds(30),
            Duration.ofDays(1),
            0,
            Double.POSITIVE_INFINITY);
    planner = new Planner(Thresholds.all(threshold), limits, new Granted(), (_, _, _, _) -> {}, 1);
    bindings.forEach(planner::open);
    for (int first = 0; first < LIVE_UNITS; first += CANDIDATES) {
      plan(first);
    }
    requireGranted(LIVE_UNITS);
    granted.forEach(lease -> planner.book(ready(lease, 0), 0));
    granted.clear();
  }

  static void run(Consumer<Check> checks) {
    for (double threshold : new double[] {Thresholds.DEFAULT, Thresholds.AUTO}) {
      DecisionCost cost = new DecisionCost(threshold);
      String of = Thresholds.isAuto(threshold) ? ", auto" : "";
      cost.measure(
          "left alone" + of,
          plan -> cost.plan(plan * CANDIDATES % LIVE_UNITS),
          checks,
          "at most 0.5");
      cost.measure("granted and ended" + of, _ -> cost.grantAndEnd(), checks, "to be seen");
    }
  }

  private void measure(String what, IntConsumer plan, Consumer<Check> checks, String bytes) {
    for (int i = 0; i < WARM_PLANS; i++) {
      plan.accept(i);
    }
    double micros = Double.MAX_VALUE;
    double allocated = Double.MAX_VALUE;
    for (int pass = 0; pass < PASSES; pass++) {
      long before = threads.getCurrentThreadAllocatedBytes();
      long nanos = threads.getCurrentThreadCpuTime();
      for (int i = 0; i < PLANS; i++) {
        plan.accept(i);
      }
      nanos = threads.getCurrentThreadCpuTime() - nanos;
      double candidates = (double) PLANS * CANDIDATES;
      micros = Math.min(micros, nanos / 1e3 / candidates);
      allocated =
          Math.min(allocated, (threads.getCurrentThreadAllocatedBytes() - before) / candidates);
    }
    checks.accept(
        Check.atMost(
            "microseconds a candidate with 100,000 live units, " + what, micros, MOST_MICROS));
    checks.accept(
        bytes.startsWith("at most")
            ? Check.atMost("bytes allocated a candidate, " + what, allocated, .5)
            : new Check("bytes allocated a candidate, " + what, allocated, bytes, true));
  }

  /// What decides nothing costs nothing.
  private void requireGranted(int units) {
    int all = 0;
    for (Lease lease : granted) {
      all += lease.range().units();
    }
    if (all != units) {
      throw new IllegalStateException(all + " units were granted and not " + units);
    }
  }

  private void plan(int first) {
    cursor.first = first;
    planner.plan(bindings, ResourceType.FILE_BLOCK, cursor, 0);
  }

  private void grantAndEnd() {
    plan(LIVE_UNITS);
    requireGranted(CANDIDATES);
    for (Lease lease : granted) {
      planner.book(ready(lease, lease.mask()), 0);
    }
    granted.clear();
    planner.evicted(0, LIVE_UNITS, CANDIDATES);
  }

  private static LeaseState ready(Lease lease, long useful) {
    return new LeaseState(lease.id(), lease.mask(), useful, 0, 0, 0, 0, 0, 0);
  }

  private final class Granted implements Decisions {
    @Override
    public void granted(Lease lease) {
      granted.add(lease);
    }

    @Override
    public void askedBack(Lease lease) {}

    @Override
    public void calledOff(Lease lease) {}

    @Override
    public void unavailable(Binding binding, Range range, String reason) {}

    @Override
    public void queued(Binding binding, Range range, int depth) {}
  }

  /// Proposes units whatever became of them.
  private static final class Proposals implements Forecaster.Cursor {
    int first;

    @Override
    public void observe(Access access) {}

    @Override
    public void forecast(long nowNanos, long horizonNanos, Forecast into) {
      for (int i = 0; i < CANDIDATES; i++) {
        into.add(Resource.of(0, first + i), .99, i, Expert.RUN_SET);
      }
    }

    @Override
    public void next(long nowNanos, Forecast into) {}

    @Override
    public void stop(long nowNanos) {}
  }
}
