package dev.prestage.simulator.policy;

import dev.prestage.simulator.trace.Trace;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;

/// One prefetcher for each program.
public final class PerProgram implements Policy {
  private final Supplier<Prefetcher> factory;
  private final Map<String, Prefetcher> prefetchers = new HashMap<>();

  public PerProgram(Supplier<Prefetcher> factory) {
    this.factory = factory;
  }

  @Override
  public Prefetcher.Copy start(int number, Trace.Run run, long nowNanos, Fetches fetches) {
    return prefetchers.computeIfAbsent(run.program(), _ -> factory.get()).start(fetches);
  }

  @Override
  public long modelBytes() {
    return prefetchers.values().stream().mapToLong(Prefetcher::modelBytes).sum();
  }
}
