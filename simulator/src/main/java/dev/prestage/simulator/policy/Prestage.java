package dev.prestage.simulator.policy;

import dev.prestage.engine.Engine;
import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HostKnowledge;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.Models;
import dev.prestage.engine.predict.Reliability;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.stage.Stager;
import dev.prestage.simulator.trace.Trace;
import it.unimi.dsi.fastutil.longs.Long2LongOpenHashMap;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/// The product: its engine with forecaster, planner and ledger, on the simulated clock. What a data
/// plane would do, the simulated host does.
///
/// Each simulated host has an engine of its own; what was learnt of a program is shared by all of
/// them, as a model that is carried to a new host would be.
public final class Prestage implements Policy {
  /// The only space: number 0, so that a page and its resource are the same number.
  private static final int SPACE = 0;

  /// From one look at what stayed unused to the next.
  private static final long TICK_NANOS = 1_000_000_000;

  private final Thresholds thresholds;
  private final Limits limits;
  private final Space space;
  private final Map<String, HybridForecaster> forecasters = new HashMap<>();
  private final HostKnowledge common = new HostKnowledge();
  private final Map<String, Program> programs = new HashMap<>();
  private final Map<Integer, Host> hosts = new HashMap<>();
  private final Models models = new SharedModels();
  private long nowNanos;

  /// @param unitBytes the size of a page
  /// @param limits of each host
  public Prestage(Thresholds thresholds, Limits limits, int unitBytes) {
    this.thresholds = thresholds;
    this.limits = limits;
    long units = Math.min(Trace.MAX_PAGE, Integer.MAX_VALUE);
    Shape shape = new Shape(units * unitBytes, unitBytes, Measure.BYTES, 1);
    this.space = new Space(SPACE, ResourceType.FILE_BLOCK, "default", "trace", shape);
  }

  /// The product as it is configured for a place.
  static Prestage at(Place place) {
    return new Prestage(place.thresholds(), place.limits(), place.trace().unitBytes());
  }

  /// How its probabilities compare with what came.
  public Calibration.Summary calibration() {
    Reliability all = new Reliability();
    forecasters.values().forEach(forecaster -> all.add(forecaster.reliability()));
    return Calibration.of(all);
  }

  @Override
  public Prefetcher.Copy start(int number, Trace.Run run, long now, Fetches fetches) {
    nowNanos = now;
    Host host = hosts.computeIfAbsent(fetches.host(), _ -> new Host());
    Vm vm = new Vm(number, "run-" + number, program(run.program()));
    return host.start(new Binding(number, vm, "trace", space), fetches);
  }

  private Program program(String name) {
    return programs.computeIfAbsent(name, _ -> new Program(programs.size() + 1, "default", name));
  }

  @Override
  public void arrived(int host, long page) {
    hostOf(host).arrived(page);
  }

  @Override
  public void hasRoom(int host, long now) {
    nowNanos = now;
    hostOf(host).plan();
  }

  @Override
  public void evicted(int host, long page) {
    hostOf(host).evicted(page);
  }

  @Override
  public void gone(int host) {
    hosts.remove(host);
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

  /// One simulated host: the engine, and the state of its leases that a data plane would keep.
  private final class Host {
    private final Engine engine;
    private final Map<Long, LeaseAccount> leases = new HashMap<>();
    private final Long2LongOpenHashMap leaseOf = new Long2LongOpenHashMap();
    private final Map<Integer, Fetches> fetches = new HashMap<>();
    private final List<LeaseAccount> news = new ArrayList<>();

    /// What the engine was told is here, for when it asks anew: it forgets a space that no run is
    /// bound to.
    private final BitSet here = new BitSet();

    private long tickedNanos = nowNanos;

    private Host() {
      leaseOf.defaultReturnValue(-1);
      engine =
          new Engine(
              thresholds,
              limits,
              () -> nowNanos,
              models,
              new Edge(),
              _ -> {},
              (_, _, _, _) -> {},
              1);
      engine.confirmed();
    }

    private Prefetcher.Copy start(Binding binding, Fetches way) {
      fetches.put(binding.id(), way);
      engine.bound(binding);
      engine.resident(SPACE, here);
      engine.started(binding.vm().id());
      report();
      return new RunningCopy(this, binding);
    }

    private void demanded(Binding binding, Request request, Fetches way) {
      nowNanos = request.timeNanos();
      AccessType type = request.write() ? AccessType.WRITE : AccessType.READ;
      boolean waited = request.missed() > 0;
      for (int i = 0; i < request.count(); i++) {
        long page = request.first() + i;
        touched(page);
        cameHere(page);
        engine.accessed(
            new Access(
                binding.id(),
                engine.runOf(binding.id(), type, nowNanos),
                Resource.of(SPACE, page),
                nowNanos,
                type,
                space.shape().unitAmount(),
                Cause.DEMAND,
                waited,
                Access.PENDING));
        if (!way.isHere(page)) {
          // A request longer than the cache evicts its own beginning.
          left(page);
        }
      }
      report();
      if (nowNanos - tickedNanos >= TICK_NANOS) {
        tickedNanos = nowNanos;
        engine.tick();
        report();
      } else {
        plan();
      }
    }

    private void plan() {
      report();
      engine.planTouched();
      report();
    }

    /// Demand for a leased page ends its part of the lease.
    private void touched(long page) {
      LeaseAccount lease = accountOf(page);
      if (lease != null) {
        lease.demanded(page);
        end(lease, page);
      }
    }

    private void arrived(long page) {
      LeaseAccount lease = accountOf(page);
      if (lease != null) {
        lease.ready(page);
        cameHere(page);
        news.add(lease);
      }
    }

    /// The engine knows pages as far as its largest space reaches, and was never told of others.
    private void left(long page) {
      if (page < space.units()) {
        here.clear((int) page);
        engine.evicted(SPACE, page, 1);
      }
    }

    private void cameHere(long page) {
      if (page < space.units()) {
        here.set((int) page);
      }
    }

    private void evicted(long page) {
      left(page);
      LeaseAccount lease = accountOf(page);
      if (lease != null) {
        lease.unused(page);
        end(lease, page);
      }
    }

    private @Nullable LeaseAccount accountOf(long page) {
      long id = leaseOf.get(page);
      return id < 0 ? null : leases.get(id);
    }

    private void end(LeaseAccount lease, long page) {
      leaseOf.remove(page);
      news.add(lease);
    }

    /// Tells the engine how its leases stand.
    private void report() {
      while (!news.isEmpty()) {
        List<LeaseAccount> changed = List.copyOf(news);
        news.clear();
        for (LeaseAccount lease : changed) {
          if (leases.containsKey(lease.id())) {
            engine.reported(lease.state());
            if (lease.hasEnded()) {
              leases.remove(lease.id());
            }
          }
        }
      }
    }

    private void stopped(Binding binding) {
      engine.detached(binding.vm().id());
      report();
      fetches.remove(binding.id());
    }

    /// The simulated data plane: the way to the origin takes the pages in the order of the leases.
    private final class Edge implements Stager {
      @Override
      public void stage(Lease lease) {
        LeaseAccount account = new LeaseAccount(lease);
        leases.put(lease.id(), account);
        news.add(account);
        Fetches way = fetches.get(lease.binding());
        for (long page = lease.first(); page < lease.first() + lease.units(); page++) {
          if (way != null && way.fetch(page)) {
            leaseOf.put(page, lease.id());
          } else if (way != null && way.isHere(page)) {
            account.redundant(page);
            cameHere(page);
          } else {
            account.cancelled(page);
          }
        }
      }

      @Override
      public void cancel(long leaseId) {
        LeaseAccount account = leases.get(leaseId);
        if (account != null) {
          callOff(account);
        }
      }

      /// What is under way comes nonetheless, and came in vain.
      @Override
      public void reclaim(long leaseId) {
        LeaseAccount account = leases.get(leaseId);
        if (account != null) {
          callOff(account);
          forEach(
              account,
              account.live(),
              page -> {
                account.unused(page);
                here.clear((int) page);
                end(account, page);
              });
        }
      }

      /// Only what waits for its turn can be called off. What is under way stays leased: counted as
      /// called off, its fetch would escape the budget.
      private void callOff(LeaseAccount account) {
        Fetches way = fetches.get(account.binding());
        if (way != null) {
          forEach(
              account,
              account.inFlight(),
              page -> {
                if (way.callOff(page)) {
                  account.cancelled(page);
                  end(account, page);
                }
              });
        }
      }

      private static void forEach(LeaseAccount account, long units, LongConsumer to) {
        for (long left = units; left != 0; left &= left - 1) {
          to.accept(account.first() + Long.numberOfTrailingZeros(left));
        }
      }
    }
  }

  /// One copy on a host.
  private record RunningCopy(Host host, Binding binding) implements Prefetcher.Copy {
    @Override
    public void demanded(Request request, Fetches fetches) {
      host.demanded(binding, request, fetches);
    }

    @Override
    public void next(Forecast into) {
      host.engine.next(binding.vm().id(), into);
    }

    @Override
    public void stop() {
      host.stopped(binding);
    }
  }

  private final class SharedModels implements Models {
    @Override
    public Forecaster of(Program program, ResourceType type) {
      return forecasters.computeIfAbsent(program.name(), _ -> new HybridForecaster(common));
    }

    @Override
    public void learnt(Program program, ResourceType type) {}
  }
}
