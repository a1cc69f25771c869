package dev.prestage.benchmarks.simulator;

import com.sun.management.ThreadMXBean;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.predict.Expert;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.Resource;
import dev.prestage.simulator.policy.Fetches;
import dev.prestage.simulator.policy.Policy;
import dev.prestage.simulator.policy.Prefetcher;
import dev.prestage.simulator.policy.Request;
import dev.prestage.simulator.trace.Trace;
import java.lang.management.ManagementFactory;

/// The forecaster without engine, planner and leases, for what it costs by itself: all that it
/// proposes is fetched, and what became of it is told.
final class ForecastAlone implements Policy {
  private static final int SPACE = 0;
  private static final int MOST = 32;

  private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private final HybridForecaster forecaster = new HybridForecaster();
  private final Forecaster.Lead lead;
  private final Forecast forecast = new Forecast();
  private long came;
  private long nanos;
  private long requests;
  private final int warmRequests;
  private long warmBytes;

  /// @param leadNanos until a page that is asked for is here
  /// @param heldUnits a quarter of the cache
  /// @param expected how many requests will come; after three quarters of them the tables have
  ///   grown to their bounds, and nothing should be allocated
  ForecastAlone(long leadNanos, int heldUnits, int expected) {
    this.warmRequests = expected / 10 * 9;
    this.lead = new Forecaster.Lead(leadNanos, heldUnits);
  }

  /// The forecaster's processor time for each request, in microseconds.
  double microsPerRequest() {
    return nanos / 1e3 / requests;
  }

  /// What it allocated since it was warm, for each request.
  double bytesPerRequest() {
    return (double) warmBytes / Math.max(1, requests - warmRequests);
  }

  @Override
  public Prefetcher.Copy start(int number, Trace.Run run, long nowNanos, Fetches fetches) {
    return new Copy(forecaster.start(number, nowNanos), fetches);
  }

  @Override
  public long modelBytes() {
    return forecaster.memoryBytes();
  }

  private final class Copy implements Prefetcher.Copy, Forecaster.Open {
    private final Forecaster.Cursor cursor;
    private final Fetches fetches;

    private Copy(Forecaster.Cursor cursor, Fetches fetches) {
      this.cursor = cursor;
      this.fetches = fetches;
    }

    @Override
    public void demanded(Request request, Fetches way) {
      Access[] accesses = new Access[request.count()];
      for (int i = 0; i < accesses.length; i++) {
        accesses[i] =
            new Access(
                0,
                1,
                Resource.of(SPACE, request.first() + i),
                request.timeNanos(),
                AccessType.READ,
                1,
                Cause.DEMAND,
                request.missed() > 0,
                Access.PENDING);
      }
      came += request.missed();
      forecast.clear();
      long bytesBefore = threads.getCurrentThreadAllocatedBytes();
      long before = threads.getCurrentThreadCpuTime();
      for (Access access : accesses) {
        cursor.observe(access);
      }
      cursor.propose(this, lead, request.timeNanos(), .25, MOST, forecast);
      nanos += threads.getCurrentThreadCpuTime() - before;
      if (++requests > warmRequests) {
        warmBytes += threads.getCurrentThreadAllocatedBytes() - bytesBefore;
      }
      for (int row = 0; row < forecast.size(); row++) {
        if (way.fetch(Resource.index(forecast.resource(row)))) {
          came++;
        } else {
          ended(forecast.resource(row), Outcome.CANCELLED);
        }
      }
    }

    @Override
    public boolean isOpen(long resource) {
      return !fetches.isHere(Resource.index(resource));
    }

    @Override
    public long came() {
      return came;
    }

    @Override
    public void used(long page) {
      ended(page, Outcome.USEFUL);
    }

    @Override
    public void wasted(long page) {
      ended(page, Outcome.UNUSED);
    }

    private void ended(long page, Outcome how) {
      Range range = new Range(SPACE, page, 1);
      forecaster.ended(new Lease(1, 0, range, 0, 0, Expert.MARKOV.bit(), 0, 0), 1, how);
    }

    @Override
    public void stop() {
      cursor.stop(0);
    }
  }
}
