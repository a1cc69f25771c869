package dev.prestage.simulator.policy;

import dev.prestage.engine.Engine;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.allocate.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.Models;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.stage.Stager;
import dev.prestage.simulator.trace.Trace;
import it.unimi.dsi.fastutil.longs.Long2LongOpenHashMap;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The product: its engine with forecaster, planner and ledger, on the simulated clock. What a data
/// plane would do, the simulated host does.
///
/// Each simulated host has an engine of its own; what was learnt of a program is shared by all of
/// them, as a model that is carried to a new host would be.
public final class Prestage implements Policy {
  private static final int SPACE = 1;

  /// From one look at what stayed unused to the next.
  private static final long TICK_NANOS = 1_000_000_000;

  /// So many pages must have come before the engine is asked for more between two requests.
  private static final int LANDED_PER_PLAN = 32;

  private final Thresholds thresholds;
  private final Limits limits;
  private final Space space;
  private final Map<String, HybridForecaster> forecasters = new HashMap<>();
  private final Map<String, Program> programs = new HashMap<>();
  private final Map<Integer, Host> hosts = new HashMap<>();
  private final Calibration calibration = new Calibration();
  private final Models models = new SharedModels();
  private @Nullable Host active;
  private long nowNanos;

  /// @param unitBytes the size of a page
  /// @param limits of each host
  public Prestage(Thresholds thresholds, Limits limits, int unitBytes) {
    this.thresholds = thresholds;
    this.limits = limits;
    long units = Math.min(Trace.MAX_PAGE, Integer.MAX_VALUE);
    this.space =
        new Space(SPACE, ResourceType.BLOCK, "default", "trace", unitBytes, units * unitBytes);
  }

  /// How its probabilities compare with what came.
  public Calibration.Summary calibration() {
    return calibration.summary();
  }

  @Override
  public Prefetcher.Copy start(int number, Trace.Run run, long now, Fetches fetches) {
    nowNanos = now;
    Host host = hosts.computeIfAbsent(fetches.host(), _ -> new Host());
    Vm vm = new Vm(number, "run-" + number, program(run.program()), space);
    return host.start(vm, fetches);
  }

  private Program program(String name) {
    return programs.computeIfAbsent(name, _ -> new Program(programs.size() + 1, "default", name));
  }

  @Override
  public void arrived(int host, long page) {
    hostOf(host).arrived(page);
  }

  @Override
  public void evicted(int host, long page) {
    hostOf(host).evicted(page);
  }

  private Host hostOf(int number) {
    Host host = hosts.get(number);
    if (host == null) {
      throw new IllegalStateException("no run was started on host " + number);
    }
    return host;
  }

  @Override
  public long modelBytes() {
    return forecasters.values().stream().mapToLong(HybridForecaster::memoryBytes).sum();
  }

  private final class SharedModels implements Models {
    private final Map<String, Forecaster> watched = new HashMap<>();

    @Override
    public Forecaster of(Program program) {
      return watched.computeIfAbsent(
          program.name(),
          name ->
              calibration.watch(
                  forecasters.computeIfAbsent(name, _ -> new HybridForecaster())));
    }

    @Override
    public void learnt(Program program) {}
  }
}
