package dev.prestage.simulator.policy;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import it.unimi.dsi.fastutil.longs.LongIterator;
import it.unimi.dsi.fastutil.longs.LongLinkedOpenHashSet;

/// Lets the product run a peer: what a prefetcher asked for and was not demanded yet is its
/// forecast, all of it certain and due in the order asked for.
///
/// A prefetcher acts and does not say how sure it is, so the probability is 1. The product asks for
/// the same forecast again and again where a prefetcher asks for a page once; so asked-for pages
/// stand in the forecast until demanded, and at most a given number of them: beyond it the one that
/// was asked for first gives way and counts as fetched in vain.
///
/// Limitations: each resource is a request of its own, because the engine observes them one by one,
/// and whether the host really staged and evicted what was asked for is not known here.
public final class PeerForecaster implements Forecaster {
  private final Prefetcher prefetcher;
  private final int most;

  /// @param prefetcher of the one program that is forecast
  /// @param most how many pages may be asked for and not demanded, for each copy; at least 1
  public PeerForecaster(Prefetcher prefetcher, int most) {
    this.prefetcher = prefetcher;
    this.most = most;
  }

  @Override
  public Cursor start(int vm, long nowNanos) {
    return new Asking();
  }

  private final class Asking implements Cursor, Fetches {
    private final LongLinkedOpenHashSet asked = new LongLinkedOpenHashSet();
    private final LongLinkedOpenHashSet dropped = new LongLinkedOpenHashSet();
    private final Prefetcher.Copy copy = prefetcher.start(this);

    @Override
    public void observe(Access access) {
      if (asked.remove(access.resource())) {
        copy.used(access.resource());
      }
      copy.demanded(
          new Request(
              access.timeNanos(),
              access.resource(),
              1,
              access.type() == AccessType.WRITE,
              access.waited() ? 1 : 0),
          this);
      // Only now, so that a prefetcher never hears of its waste while it asks.
      while (!dropped.isEmpty()) {
        copy.wasted(dropped.removeFirstLong());
      }
    }

    @Override
    public void forecast(long nowNanos, long horizonNanos, Forecast into) {
      long due = nowNanos;
      for (LongIterator pages = asked.iterator(); pages.hasNext(); ) {
        into.add(pages.nextLong(), 1, ++due, Expert.PEER);
      }
    }

    @Override
    public void stop(long nowNanos) {
      copy.stop();
    }

    @Override
    public boolean fetch(long page) {
      if (page < 0 || !asked.add(page)) {
        return false;
      }
      if (asked.size() > most) {
        dropped.add(asked.removeFirstLong());
      }
      return true;
    }

    @Override
    public boolean isHere(long page) {
      return asked.contains(page);
    }

    @Override
    public boolean isFull() {
      return false;
    }
  }
}
