package dev.prestage.simulator.policy;

/// Nothing is fetched ahead of demand: what the others are compared with.
public final class NoPrefetch implements Prefetcher {
  @Override
  public Copy start(Fetches fetches) {
    return (_, _) -> {};
  }

  @Override
  public long modelBytes() {
    return 0;
  }
}
