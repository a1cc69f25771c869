package dev.prestage.engine;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.StagingOutcome;
import dev.prestage.engine.allocate.Decisions;
import dev.prestage.engine.allocate.Lease;
import dev.prestage.engine.allocate.LeaseLedger;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.Planner;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.Models;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.stage.Notice;
import dev.prestage.engine.stage.Notices;
import dev.prestage.engine.stage.Stager;
import dev.prestage.engine.time.Clock;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// The loop, one step at a time: accesses and lease reports go in, stager calls and notices come
/// out.
///
/// Each method is one step, a function of the state, its arguments and the clock; nothing happens
/// between calls. All calls come from one thread.
public final class Engine {
  /// What comes this long after a stop does not begin a run: accesses come in batches and may be
  /// overtaken by the word that the VM stopped, and a guest that shuts down still writes. A run of
  /// these few would be learnt as if a start ended there.
  private static final long TAIL_NANOS = 1_000_000_000;

  // Half an hour with the default horizon; what may be staged bounds it sooner.
  private static final int HORIZONS_WHILE_IDLE = 64;

  private final Limits limits;
  private final Clock clock;
  private final Models models;
  private final Stager stager;
  private final Notices notices;
  private final Planner planner;
  private final Map<Integer, Copy> copies = new HashMap<>();
  private final Map<Long, Allocation> allocations = new HashMap<>();
  private final Set<Long> unconfirmed = new HashSet<>();
  private final Forecast forecast = new Forecast();
  private long nextAllocation = 1;
  private boolean predicting = true;
  private boolean connected;

  /// A VM, and where the copy of its program stands, if one runs.
  private static final class Copy {
    final Vm vm;
    long stoppedNanos = Long.MIN_VALUE;
    Forecaster.@Nullable Cursor cursor;
    boolean touched;
    boolean hungry;
    boolean startSeen = true;

    Copy(Vm vm) {
      this.vm = vm;
    }
  }

  /// A pre-allocation that a VM manager asked for: its forecast is planned again until all of it is
  /// here or given up.
  private static final class Allocation {
    final long id;
    final Vm vm;
    final Forecast forecast = new Forecast();
    int planned;
    boolean hungry;
    boolean settled;

    Allocation(long id, Vm vm) {
      this.id = id;
      this.vm = vm;
    }
  }

  /// How far an allocation is, in extents.
  ///
  /// @param planned wanted and not here when it was asked for
  /// @param ready of these, here now
  /// @param leased of these, on their way
  /// @param waiting of these, waiting for capacity
  /// @param settled whether nothing more will happen to it by itself
  public record AllocationState(
      long id, Vm vm, int planned, int ready, int leased, int waiting, boolean settled) {}

  /// @param outcomes hears how each staged extent ended
  /// @param firstLease the first lease's id; it must be higher than any that this host's data plane
  ///   may still hold
  public Engine(
      Thresholds thresholds,
      Limits limits,
      Clock clock,
      Models models,
      Stager stager,
      Notices notices,
      Consumer<StagingOutcome> outcomes,
      long firstLease) {
    this.limits = limits;
    this.clock = clock;
    this.models = models;
    this.stager = stager;
    this.notices = notices;
    this.planner = new Planner(thresholds, limits, new Execution(), outcomes, firstLease);
  }

  // ---- VMs and programs

  /// A VM can be served, and its disk staged. Repeating it is harmless.
  public void attached(Vm vm) {
    planner.open(vm.space());
    copies.putIfAbsent(vm.id(), new Copy(vm));
  }

  /// As [#attached], for a VM that ran before this engine's time: a run of which nobody saw the
  /// start is forecast, and not learnt as one.
  public void resumed(Vm vm) {
    attached(vm);
    Copy copy = copies.get(vm.id());
    if (copy != null) {
      copy.startSeen = false;
    }
  }

  /// A VM is gone. Its run ends.
  public void detached(int vm) {
    stopped(vm);
    copies.remove(vm);
  }

  /// A copy of the VM's program starts now. A run that was not ended ends. What was allocated ahead
  /// of the start, and is on its way, goes on.
  public void started(int vm) {
    Copy copy = copies.get(vm);
    if (copy != null) {
      endRun(copy);
      copy.startSeen = true;
      begin(copy, clock.nanos());
      plan(copy);
    }
  }

  private Forecaster.Cursor begin(Copy copy, long nowNanos) {
    Forecaster.Cursor cursor = models.of(copy.vm.program()).start(copy.vm.id(), nowNanos);
    copy.cursor = cursor;
    return cursor;
  }

  /// The VM's copy ended: its run is learnt, and what is on its way for it is called off.
  public void stopped(int vm) {
    Copy copy = copies.get(vm);
    if (copy == null) {
      return;
    }
    allocations.values().removeIf(allocation -> allocation.vm.id() == vm);
    planner.stopped(copy.vm);
    endRun(copy);
  }

  private void endRun(Copy copy) {
    Forecaster.Cursor cursor = copy.cursor;
    if (cursor != null) {
      copy.cursor = null;
      copy.stoppedNanos = clock.nanos();
      if (copy.startSeen) {
        cursor.stop(copy.stoppedNanos);
        models.learnt(copy.vm.program());
      }
      copy.startSeen = true;
    }
  }

  /// Whether a copy is known to run in the VM: its start was seen and its end was not.
  public boolean isRunning(int vm) {
    Copy copy = copies.get(vm);
    return copy != null && copy.cursor != null && copy.startSeen;
  }

  /// Ends all runs, so that they are learnt.
  public void stopAll() {
    List.copyOf(copies.keySet()).forEach(this::stopped);
  }

  // ---- what the edges saw

  /// A VM touched something. A first touch without a start begins a run: a VM manager that says
  /// nothing is served too. Touches just after a stop are the tail of the run that ended.
  public void accessed(Access access) {
    Copy copy = copies.get(access.vm());
    if (copy == null || access.cause() != Cause.DEMAND) {
      return;
    }
    planner.demanded(access.resource());
    Forecaster.Cursor cursor = copy.cursor;
    if (cursor == null) {
      if (access.timeNanos() <= copy.stoppedNanos + TAIL_NANOS) {
        return;
      }
      cursor = begin(copy, access.timeNanos());
    }
    cursor.observe(access);
    copy.touched = true;
  }

  /// Plans for the VMs that touched something since the last call, and for those that in-flight
  /// extents held up.
  public void planTouched() {
    if (!planner.hasRoom()) {
      return;
    }
    if (isStaging()) {
      planner.admitWaiting(clock.nanos());
    }
    for (Copy copy : copies.values()) {
      if (copy.touched || copy.hungry) {
        copy.touched = false;
        plan(copy);
      }
    }
    for (Allocation allocation : allocations.values()) {
      if (allocation.hungry) {
        plan(allocation);
      }
    }
  }

  private void plan(Copy copy) {
    copy.hungry = false;
    Forecaster.Cursor cursor = copy.cursor;
    if (!isStaging() || cursor == null) {
      return;
    }
    long now = clock.nanos();
    forecast.clear();
    cursor.forecast(now, limits.horizon().toNanos(), forecast);
    copy.hungry = planner.plan(copy.vm, forecast, now);
    if (!copy.hungry && planner.inFlightExtents() == 0) {
      // Due times are those of the host that was learnt on. A guest that is faster outruns the
      // horizon, and while nothing is on its way looking further costs nobody anything.
      forecast.clear();
      cursor.forecast(now, HORIZONS_WHILE_IDLE * limits.horizon().toNanos(), forecast);
      copy.hungry = planner.plan(copy.vm, forecast, now);
    }
  }

  private void plan(Allocation allocation) {
    allocation.hungry =
        !isStaging() || planner.plan(allocation.vm, allocation.forecast, clock.nanos());
  }

  // ---- what the stager reports

  /// The state of a lease changed.
  public void reported(LeaseState state) {
    unconfirmed.remove(state.leaseId());
    tell(planner.book(state));
  }

  private void tell(LeaseLedger.@Nullable Progress progress) {
    if (progress == null) {
      return;
    }
    Lease lease = progress.entry().lease();
    Copy copy = copies.get(lease.vm());
    if (copy == null) {
      return;
    }
    Vm vm = copy.vm;
    long now = clock.nanos();
    int ready = Long.bitCount(progress.ready());
    int unused = Long.bitCount(progress.news().unused());
    long failures = progress.news().failed();
    int failed = Long.bitCount(failures);
    String image = vm.space().name();
    String program = vm.program().name();
    if (ready > 0) {
      notices.publish(
          new Notice.Staged(
              now, vm.name(), program, image, lease.id(), ready, bytes(vm.space(), ready)));
    }
    if (unused > 0) {
      notices.publish(
          new Notice.Reclaimed(
              now, vm.name(), program, image, lease.id(), unused, bytes(vm.space(), unused)));
    }
    if (failed > 0) {
      notices.publish(
          new Notice.Unavailable(
              now,
              vm.name(),
              program,
              image,
              lease.first() + Long.numberOfTrailingZeros(failures),
              failed,
              "failed"));
    }
  }

  private static long bytes(Space space, int extents) {
    return (long) extents * space.unitBytes();
  }

  /// The stager cannot be reached: nothing is granted until [#confirmed]. What was asked of it may
  /// be lost, so unfinished allocations are planned again then.
  public void disconnected() {
    connected = false;
    for (Allocation allocation : allocations.values()) {
      allocation.hungry = !allocation.settled;
    }
  }

  /// The connection to the stager is new. It will repeat every lease that it still holds, and then
  /// call [#confirmed].
  ///
  /// @param sameStager whether it is the process that was connected before
  public void reconnected(boolean sameStager) {
    unconfirmed.clear();
    planner.ledger().live().forEach(entry -> unconfirmed.add(entry.lease().id()));
    if (!sameStager) {
      planner.abandon(unconfirmed);
      unconfirmed.clear();
    }
  }

  /// The stager holds this lease.
  public void held(Lease lease, LeaseState state) {
    unconfirmed.remove(lease.id());
    tell(planner.held(lease, state, clock.nanos()));
  }

  /// All that the stager holds has been said; leases that it did not name have ended unseen.
  public void confirmed() {
    planner.abandon(unconfirmed);
    unconfirmed.clear();
    connected = true;
    copies.values().forEach(copy -> copy.touched = true);
  }

  /// The tier holds exactly these extents of a space.
  public void resident(int space, BitSet extents) {
    planner.resident(space, extents);
  }

  /// Extents left the tier.
  public void evicted(int space, long first, int extents) {
    planner.evicted(space, first, extents);
  }

  // ---- periodic work

  /// Time passes: asks back what stayed unused, admits what waits, closes finished allocations.
  public void tick() {
    long now = clock.nanos();
    planner.askBackUnused(now);
    planner.retryFailed(now);
    if (isStaging()) {
      planner.admitWaiting(now);
    }
    planTouched();
    for (Allocation allocation : allocations.values()) {
      settle(allocation, now);
    }
  }

  private void settle(Allocation allocation, long now) {
    if (allocation.settled || allocation.hungry) {
      return;
    }
    Planner.Standing standing = planner.standing(allocation.vm, allocation.forecast);
    if (standing.isSettled()) {
      allocation.settled = true;
      Vm vm = allocation.vm;
      notices.publish(
          new Notice.Available(
              now,
              vm.name(),
              vm.program().name(),
              allocation.id,
              standing.resident(),
              bytes(vm.space(), standing.resident())));
    }
  }

  // ---- what VM managers ask

  /// Stages what the start of the VM's program is expected to touch. It replaces an earlier
  /// allocation of the VM.
  ///
  /// @return the allocation, or null if the VM is not attached
  public @Nullable AllocationState allocate(int vm) {
    Copy copy = copies.get(vm);
    if (copy == null) {
      return null;
    }
    Allocation allocation = new Allocation(nextAllocation++, copy.vm);
    expectStart(copy.vm, allocation.forecast);
    Planner.Standing standing = planner.standing(copy.vm, allocation.forecast);
    allocation.planned = standing.wanted() - standing.resident();
    allocations.values().removeIf(earlier -> earlier.vm.id() == vm);
    allocations.put(allocation.id, allocation);
    plan(allocation);
    return state(allocation);
  }

  /// How far an allocation is, or null if there is none: it never was, or its VM's program stopped.
  public @Nullable AllocationState allocation(long id) {
    Allocation allocation = allocations.get(id);
    return allocation == null ? null : state(allocation);
  }

  private AllocationState state(Allocation allocation) {
    Planner.Standing standing = planner.standing(allocation.vm, allocation.forecast);
    int missing = standing.wanted() - standing.resident();
    return new AllocationState(
        allocation.id,
        allocation.vm,
        allocation.planned,
        Math.max(0, allocation.planned - missing),
        standing.leased(),
        standing.waiting(),
        allocation.settled);
  }

  private void expectStart(Vm vm, Forecast into) {
    long now = clock.nanos();
    models.of(vm.program()).start(vm.id(), now).forecast(now, Long.MAX_VALUE / 4, into);
  }

  /// What a VM is expected to touch: from where its copy stands, or, while none runs, from its
  /// start.
  public void expect(int vm, Forecast into) {
    Copy copy = copies.get(vm);
    if (copy == null) {
      return;
    }
    Forecaster.Cursor cursor = copy.cursor;
    if (cursor == null) {
      expectStart(copy.vm, into);
    } else {
      cursor.forecast(clock.nanos(), limits.horizon().toNanos(), into);
    }
  }

  /// Adds what a VM's very next touch may be; nothing if no copy runs in it.
  public void next(int vm, Forecast into) {
    Copy copy = copies.get(vm);
    Forecaster.Cursor cursor = copy == null ? null : copy.cursor;
    if (cursor != null) {
      cursor.next(clock.nanos(), into);
    }
  }

  /// Whether forecasts are made and staged. Without, accesses are still learnt from.
  public void predicting(boolean on) {
    predicting = on;
    if (on) {
      copies.values().forEach(copy -> copy.touched = true);
    }
  }

  private boolean isStaging() {
    return predicting && connected;
  }

  /// Whether forecasts are made and staged.
  public boolean isPredicting() {
    return predicting;
  }

  /// The account.
  public LeaseLedger ledger() {
    return planner.ledger();
  }

  /// Live leases of a VM, or of all.
  public Collection<LeaseLedger.Entry> leases(@Nullable Integer vm) {
    List<LeaseLedger.Entry> leases = new ArrayList<>();
    for (LeaseLedger.Entry entry : planner.ledger().live()) {
      if (vm == null || entry.lease().vm() == vm) {
        leases.add(entry);
      }
    }
    return leases;
  }

  /// Ranges that wait for capacity.
  public int waitingRanges() {
    return planner.waitingRanges();
  }

  /// Extents granted and neither ready nor ended.
  public int inFlightExtents() {
    return planner.inFlightExtents();
  }

  /// Bytes held by live leases.
  public long stagedBytes() {
    return planner.stagedBytes();
  }

  /// Decisions become stager calls and notices.
  private final class Execution implements Decisions {
    @Override
    public void granted(Lease lease) {
      stager.stage(lease);
    }

    @Override
    public void askedBack(Lease lease) {
      stager.reclaim(lease.id());
    }

    @Override
    public void calledOff(Lease lease) {
      stager.cancel(lease.id());
    }

    @Override
    public void unavailable(Vm vm, long first, int extents, String reason) {
      notices.publish(
          new Notice.Unavailable(
              clock.nanos(),
              vm.name(),
              vm.program().name(),
              vm.space().name(),
              first,
              extents,
              reason));
    }

    @Override
    public void queued(Vm vm, long first, int extents, int depth) {
      notices.publish(
          new Notice.Queued(
              clock.nanos(),
              vm.name(),
              vm.program().name(),
              vm.space().name(),
              first,
              extents,
              depth));
    }
  }
}
