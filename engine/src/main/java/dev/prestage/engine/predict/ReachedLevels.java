package dev.prestage.engine.predict;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.resource.Resource;
import java.util.HashMap;
import java.util.Map;

/// Forecasts of another forecaster, without levels that no copy of the program ever reached.
///
/// Connections are levels: unit `j` is the one that a guest opens while it has `j` others. A copy
/// that climbs touches 0, 1, 2 one after the other, which looks like the begin of a sequence on a
/// disk, and a sequence is continued ever further. Of blocks that pays; a level beyond the highest
/// one that was ever seen is a connection that nobody needs.
public final class ReachedLevels implements Forecaster {
  private final Forecaster inner;

  /// The highest level that was reached, by space.
  private final Map<Integer, Long> highest = new HashMap<>();

  /// @param inner whose forecasts they are
  /// @param reached resources that copies are known to have touched
  public ReachedLevels(Forecaster inner, long[] reached) {
    this.inner = inner;
    for (long resource : reached) {
      reach(resource);
    }
  }

  private void reach(long resource) {
    highest.merge(Resource.space(resource), Resource.index(resource), Math::max);
  }

  private boolean isReached(long resource) {
    return Resource.index(resource) <= highest.getOrDefault(Resource.space(resource), -1L);
  }

  @Override
  public Cursor start(int vm, long nowNanos) {
    return new LevelsCursor(inner.start(vm, nowNanos));
  }

  @Override
  public void ended(Lease lease, long units, Outcome how) {
    inner.ended(lease, units, how);
  }

  /// What a host says, less the levels that nobody reached.
  private record Within(ReachedLevels levels, Open host) implements Open {
    @Override
    public boolean isOpen(long resource) {
      return levels.isReached(resource) && host.isOpen(resource);
    }

    @Override
    public long came() {
      return host.came();
    }
  }

  private final class LevelsCursor implements Cursor {
    private final Cursor cursor;

    LevelsCursor(Cursor cursor) {
      this.cursor = cursor;
    }

    @Override
    public void observe(Access access) {
      reach(access.resource());
      cursor.observe(access);
    }

    @Override
    public void again() {
      cursor.again();
    }

    @Override
    public void released(Access access) {
      cursor.released(access);
    }

    @Override
    public void propose(
        Open open, Lead lead, long nowNanos, double least, int most, Forecast into) {
      Forecast all = new Forecast();
      cursor.propose(new Within(ReachedLevels.this, open), lead, nowNanos, least, most, all);
      addReached(all, into);
    }

    @Override
    public void forecast(long nowNanos, long horizonNanos, Forecast into) {
      Forecast all = new Forecast();
      cursor.forecast(nowNanos, horizonNanos, all);
      addReached(all, into);
    }

    @Override
    public void next(long nowNanos, Forecast into) {
      Forecast all = new Forecast();
      cursor.next(nowNanos, all);
      addReached(all, into);
    }

    private void addReached(Forecast all, Forecast to) {
      for (int row = 0; row < all.size(); row++) {
        long resource = all.resource(row);
        if (isReached(resource)) {
          for (Expert expert : Expert.of(all.experts(row))) {
            to.add(resource, all.probability(row), all.dueNanos(row), expert);
          }
        }
      }
    }

    @Override
    public void stop(long nowNanos) {
      cursor.stop(nowNanos);
    }
  }
}
