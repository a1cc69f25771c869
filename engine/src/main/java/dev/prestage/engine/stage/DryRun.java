package dev.prestage.engine.stage;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.time.Clock;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/// A stager that moves nothing and reports what would have come of each lease. It assumes that a
/// unit is ready after the time for which guests wait for the origin on average: demand after that
/// moment is useful, demand before it late. It does not model that fetches share a link, so it
/// counts fewer units as late than there would be.
///
/// Calls for leases that it did not stage go to the other stager. Confined to the engine thread.
public final class DryRun implements Stager {
  /// Until a guest has waited: a round trip to a storage system next door.
  private static final long FIRST_WAIT_NANOS = 10_000_000;

  /// Waits of which the end is not heard are forgotten.
  private static final int MOST_AWAITED = 1024;

  /// How fast the estimate follows: about the last sixteen waits.
  private static final int MEMORY = 16;

  private final Stager others;
  private final Clock clock;
  private final IntFunction<@Nullable Binding> bindings;
  private final Map<Long, Held> leases = new LinkedHashMap<>();
  private final Map<Long, List<Held>> byResource = new HashMap<>();
  private final PriorityQueue<Held> underWay =
      new PriorityQueue<>(Comparator.comparingLong(held -> held.readyNanos));
  private final Set<Held> changed = new LinkedHashSet<>();

  /// The time for which guests wait for a unit of a type, on average.
  private final Map<ResourceType, Long> waitNanos = new EnumMap<>(ResourceType.class);

  /// Units that a guest waits for now and that would have been ready. Others that demand one of
  /// them meanwhile would have found it, too.
  private final Set<Long> awaited =
      Collections.newSetFromMap(
          new LinkedHashMap<>() {
            @Override
            protected boolean removeEldestEntry(Map.Entry<Long, Boolean> eldest) {
              return size() > MOST_AWAITED;
            }
          });

  /// A lease that has not ended, and how far it would be.
  private static final class Held {
    final Lease lease;
    final long readyNanos;
    final boolean isOwn;
    long ready;
    long useful;
    long late;
    long unused;
    long cancelled;
    long leadNanos;

    Held(Lease lease, long readyNanos, boolean isOwn) {
      this.lease = lease;
      this.readyNanos = readyNanos;
      this.isOwn = isOwn;
    }

    long open() {
      return lease.mask() & ~(useful | late | unused | cancelled);
    }

    LeaseState state() {
      return new LeaseState(lease.id(), ready, useful, late, unused, 0, 0, cancelled, leadNanos);
    }
  }

  /// @param others who holds leases from before, and is asked for nothing new
  /// @param bindings those that are there, by number
  public DryRun(Stager others, Clock clock, IntFunction<@Nullable Binding> bindings) {
    this.others = others;
    this.clock = clock;
    this.bindings = bindings;
  }

  @Override
  public void stage(Lease lease) {
    Binding binding = bindings.apply(lease.binding());
    boolean isOwn = binding != null && binding.space().shape().isOwn();
    // A promise of a rate takes no time.
    long fetchNanos = binding == null || isOwn ? 0 : waitNanos(binding.space().type());
    Held held = new Held(lease, clock.nanos() + fetchNanos, isOwn);
    leases.put(lease.id(), held);
    underWay.add(held);
    for (int i = 0; i < lease.units(); i++) {
      byResource.computeIfAbsent(resource(lease, i), _ -> new ArrayList<>(1)).add(held);
    }
  }

  private long waitNanos(ResourceType type) {
    return waitNanos.getOrDefault(type, FIRST_WAIT_NANOS);
  }

  private static long resource(Lease lease, int unit) {
    return Resource.of(lease.space(), lease.first() + unit);
  }

  @Override
  public void cancel(long leaseId) {
    Held held = leases.get(leaseId);
    if (held == null) {
      others.cancel(leaseId);
    } else {
      land(clock.nanos());
      held.cancelled |= held.open() & ~held.ready;
      changed.add(held);
    }
  }

  @Override
  public void reclaim(long leaseId) {
    Held held = leases.get(leaseId);
    if (held == null) {
      others.reclaim(leaseId);
    } else {
      land(clock.nanos());
      held.unused |= held.open() & held.ready;
      held.cancelled |= held.open();
      changed.add(held);
    }
  }

  /// A guest demanded a unit.
  ///
  /// @return whether the unit would have been ready by then
  public boolean demanded(Access access) {
    long at = Math.min(access.timeNanos(), clock.nanos());
    boolean staged = awaited.contains(access.resource());
    land(at);
    for (Held held : byResource.getOrDefault(access.resource(), List.of())) {
      long bit = 1L << (Resource.index(access.resource()) - held.lease.first());
      boolean concerns = !held.isOwn || held.lease.binding() == access.binding();
      if (concerns && (held.open() & bit) != 0) {
        // What is told late is judged by when it was.
        if (at >= held.readyNanos) {
          staged = true;
          held.useful |= bit;
          held.leadNanos += Math.max(1, at - held.readyNanos);
        } else {
          held.late |= bit;
        }
        changed.add(held);
      }
    }
    if (staged && access.waited()) {
      awaited.add(access.resource());
    }
    return staged;
  }

  /// What a guest waited for came.
  public void answered(Access access) {
    awaited.remove(access.resource());
    Binding binding = bindings.apply(access.binding());
    if (binding != null && access.waited() && access.latencyNanos() > 0) {
      ResourceType type = binding.space().type();
      waitNanos.put(type, waitNanos(type) + (access.latencyNanos() - waitNanos(type)) / MEMORY);
    }
  }

  /// Adds what would be here of a space to what is.
  public void addReady(int space, BitSet units) {
    for (Held held : leases.values()) {
      if (held.lease.space() == space) {
        for (long left = held.ready & held.open(); left != 0; left &= left - 1) {
          units.set((int) held.lease.first() + Long.numberOfTrailingZeros(left));
        }
      }
    }
  }

  private void land(long nowNanos) {
    for (Held next = underWay.peek();
        next != null && next.readyNanos <= nowNanos;
        next = underWay.peek()) {
      underWay.remove();
      next.ready |= next.open();
      changed.add(next);
    }
  }

  /// What would have come of leases since this was asked last. Those that have ended are forgotten
  /// with it.
  public List<LeaseState> takeChanged() {
    land(clock.nanos());
    List<LeaseState> states = new ArrayList<>();
    for (Held held : changed) {
      states.add(held.state());
      if (held.open() == 0) {
        forget(held);
      }
    }
    changed.clear();
    return states;
  }

  private void forget(Held held) {
    leases.remove(held.lease.id());
    underWay.remove(held);
    for (int i = 0; i < held.lease.units(); i++) {
      byResource.computeIfPresent(
          resource(held.lease, i),
          (_, all) -> {
            all.remove(held);
            return all.isEmpty() ? null : all;
          });
    }
  }

  /// Passes on each lease that has not ended, and its state.
  public void forEachLive(BiConsumer<Lease, LeaseState> to) {
    leases.values().forEach(held -> to.accept(held.lease, held.state()));
  }
}
