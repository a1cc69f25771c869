package dev.prestage.engine;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.access.Feedback;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.allocate.ControlStarts;
import dev.prestage.engine.allocate.Decisions;
import dev.prestage.engine.allocate.LeaseLedger;
import dev.prestage.engine.allocate.LeaseState;
import dev.prestage.engine.allocate.Limits;
import dev.prestage.engine.allocate.OnHost;
import dev.prestage.engine.allocate.Planner;
import dev.prestage.engine.allocate.Standing;
import dev.prestage.engine.allocate.Thresholds;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.Models;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import dev.prestage.engine.stage.Notice;
import dev.prestage.engine.stage.Notices;
import dev.prestage.engine.stage.Stager;
import dev.prestage.engine.time.Clock;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
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

  /// The number of no VM.
  private static final int NO_VM = -1;

  private static final ResourceType[] TYPES = ResourceType.values();

  private final Limits limits;
  private final Clock clock;
  private final Models models;
  private final Stager stager;
  private final Notices notices;
  private final Planner planner;
  private final Comparator<Copy> turns;
  private final Map<Integer, Copy> copies = new HashMap<>();

  /// Who is planned for at the moment; kept, so that planning makes no garbage.
  private final List<Copy> planned = new ArrayList<>();

  private final Map<Integer, Binding> bindings = new HashMap<>();

  /// Bindings that are gone, of which leases are live still.
  private final Map<Integer, Binding> departed = new HashMap<>();

  private final Map<Long, Allocation> allocations = new HashMap<>();
  private final Set<Long> unconfirmed = new HashSet<>();
  private long nextAllocation = 1;
  private long nextRun;
  private ControlStarts controls = new ControlStarts(0, () -> 1);
  private boolean predicting = true;
  private boolean connected;

  /// A VM with its bindings, and where the copy of its program stands, if one runs.
  private static final class Copy {
    final Vm vm;
    final List<Binding> bindings = new ArrayList<>();
    long stoppedNanos = Long.MIN_VALUE;
    @Nullable Run run;
    boolean touched;
    boolean hungry;
    boolean startSeen = true;

    Copy(Vm vm) {
      this.vm = vm;
    }

    /// What its run waits for says nothing any more of what staging is worth.
    void isNotCompared() {
      if (run != null) {
        run.draw = ControlStarts.Draw.NONE;
      }
    }
  }

  /// One run of a program: a cursor for each type of resource that its VM is bound to, so that a
  /// run with two disks is learnt once.
  private static final class Run {
    final long id;
    final Map<ResourceType, Forecaster.Cursor> cursors = new EnumMap<>(ResourceType.class);

    ControlStarts.Draw draw;
    Forecaster.@Nullable Cursor last;
    long waitedNanos;

    Run(long id, ControlStarts.Draw draw) {
      this.id = id;
      this.draw = draw;
    }

    void forecast(long nowNanos, long horizonNanos, Forecast into) {
      for (Forecaster.Cursor cursor : cursors.values()) {
        cursor.forecast(nowNanos, horizonNanos, into);
      }
    }
  }

  /// A pre-allocation that a VM manager asked for: its forecast is planned again until all of it is
  /// here or given up.
  private static final class Allocation {
    final long id;
    final Copy copy;
    final Forecast forecast;
    final Planner.Request request;
    int planned;
    boolean hungry;
    boolean settled;

    Allocation(long id, Copy copy, Forecast forecast, Planner.Request request) {
      this.id = id;
      this.copy = copy;
      this.forecast = forecast;
      this.request = request;
    }
  }

  /// How far an allocation is, in units.
  ///
  /// @param planned wanted and not here when it was asked for
  /// @param ready of these, here now
  /// @param leased of these, on their way
  /// @param waiting of these, waiting for capacity
  /// @param settled whether nothing more will happen to it by itself
  public record AllocationState(
      long id, Vm vm, int planned, int ready, int leased, int waiting, boolean settled) {}

  /// @param feedback hears how each staged unit ended, as the forecasters do
  /// @param firstLease the first lease's id, and the first run's; it must be higher than any that
  ///   this host's data plane may still hold
  public Engine(
      Thresholds thresholds,
      Limits limits,
      Clock clock,
      Models models,
      Stager stager,
      Notices notices,
      Feedback feedback,
      long firstLease) {
    this.limits = limits;
    this.clock = clock;
    this.models = models;
    this.stager = stager;
    this.notices = notices;
    this.nextRun = firstLease;
    this.planner =
        new Planner(
            thresholds,
            limits,
            new Execution(),
            ((Feedback) this::learn).and(feedback),
            firstLease);
    this.turns = Comparator.comparing(copy -> copy.bindings.getFirst(), planner.turns());
  }

  // ---- VMs and programs

  /// A VM is there, whatever it is bound to: its program can be started and stopped.
  public void added(Vm vm) {
    copy(vm);
  }

  private Copy copy(Vm vm) {
    return copies.computeIfAbsent(vm.id(), _ -> new Copy(vm));
  }

  /// A VM is bound to a space that can be served and staged. Repeating it is harmless.
  public void bound(Binding binding) {
    Copy copy = copy(binding.vm());
    planner.open(binding);
    if (bindings.put(binding.id(), binding) == null) {
      copy.bindings.add(binding);
    }
  }

  /// As [#bound], for a VM that ran before this engine's time: a run of which nobody saw the start
  /// is forecast, and not learnt as one.
  public void resumed(Binding binding) {
    bound(binding);
    Copy copy = copies.get(binding.vm().id());
    if (copy != null) {
      copy.startSeen = false;
    }
  }

  /// A VM is gone, with all that it was bound to. Its run ends.
  public void detached(int vm) {
    stopped(vm);
    Copy copy = copies.remove(vm);
    if (copy != null) {
      for (Binding binding : copy.bindings) {
        bindings.remove(binding.id());
        departed.put(binding.id(), binding);
        planner.close(binding);
      }
    }
    Set<Integer> leased =
        leases(null).stream().map(entry -> entry.lease().binding()).collect(Collectors.toSet());
    departed.keySet().retainAll(leased);
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

  private Run begin(Copy copy, long nowNanos) {
    Run run = new Run(nextRun++, draw(copy));
    for (Binding binding : copy.bindings) {
      cursor(run, binding, nowNanos);
    }
    copy.run = run;
    return run;
  }

  /// Only a start that was seen, and for which nobody asked to have anything staged, is compared.
  private ControlStarts.Draw draw(Copy copy) {
    boolean compared =
        isStaging()
            && copy.startSeen
            && allocations.values().stream().noneMatch(allocation -> allocation.copy == copy);
    return compared ? controls.draw(copy.vm.program().key()) : ControlStarts.Draw.NONE;
  }

  private Forecaster.Cursor cursor(Run run, Binding binding, long nowNanos) {
    ResourceType type = binding.space().type();
    Forecaster.Cursor cursor = run.cursors.get(type);
    if (cursor == null) {
      cursor = models.of(binding.vm().program(), type).start(binding.vm().id(), nowNanos);
      run.cursors.put(type, cursor);
    }
    return cursor;
  }

  /// The VM's copy ended: its run is learnt, and what is on its way for it is called off.
  public void stopped(int vm) {
    Copy copy = copies.get(vm);
    if (copy == null) {
      return;
    }
    allocations.values().removeIf(allocation -> allocation.copy == copy);
    planner.callOff(copy.bindings);
    endRun(copy);
  }

  private void endRun(Copy copy) {
    Run run = copy.run;
    if (run != null) {
      copy.run = null;
      copy.stoppedNanos = clock.nanos();
      if (copy.startSeen) {
        run.cursors.forEach((type, cursor) -> {
          cursor.stop(copy.stoppedNanos);
          models.learnt(copy.vm.program(), type);
        });
        controls.ended(copy.vm.program().key(), run.draw, run.waitedNanos / 1e9);
      }
      copy.startSeen = true;
    }
  }

  /// Whether a copy is known to run in the VM: its start was seen and its end was not.
  public boolean isRunning(int vm) {
    Copy copy = copies.get(vm);
    return copy != null && copy.run != null && copy.startSeen;
  }

  /// The numbers of all runs that have not ended.
  public Set<Long> runs() {
    Set<Long> runs = new HashSet<>();
    for (Copy copy : copies.values()) {
      if (copy.run != null) {
        runs.add(copy.run.id);
      }
    }
    return runs;
  }

  /// Ends all runs, so that they are learnt.
  public void stopAll() {
    List.copyOf(copies.keySet()).forEach(this::stopped);
  }

  // ---- what the edges saw

  /// The run to which a touch through a binding belongs, or [Access#NO_RUN]. A first touch without
  /// a start begins a run: a VM manager that says nothing is served too. Touches just after a stop
  /// are the tail of the run that ended.
  ///
  /// @param type what was done; giving something up begins no run
  /// @param timeNanos when it was asked for
  public long runOf(int binding, AccessType type, long timeNanos) {
    Binding bound = bindings.get(binding);
    Copy copy = bound == null ? null : copies.get(bound.vm().id());
    if (copy == null) {
      return Access.NO_RUN;
    }
    if (copy.run == null
        && type != AccessType.RELEASE
        && timeNanos > copy.stoppedNanos + TAIL_NANOS) {
      begin(copy, timeNanos);
    }
    return copy.run == null ? Access.NO_RUN : copy.run.id;
  }

  /// A VM touched something or gave it up, in a run that [#runOf] named.
  public void accessed(Access access) {
    Binding binding = bindings.get(access.binding());
    Copy copy = binding == null ? null : copies.get(binding.vm().id());
    if (binding == null || copy == null || access.cause() != Cause.DEMAND) {
      return;
    }
    boolean released = access.type() == AccessType.RELEASE;
    if (released) {
      planner.released(access.binding(), access.resource());
    } else {
      planner.demanded(access.binding(), access.resource());
    }
    Run run = copy.run;
    if (run != null && run.id == access.run()) {
      Forecaster.Cursor cursor = cursor(run, binding, access.timeNanos());
      if (released) {
        cursor.released(access);
      } else {
        cursor.observe(access);
        run.last = cursor;
      }
      copy.touched = true;
    }
  }

  /// Whether a unit is on this host, as far as is known.
  public boolean isResident(int binding, long resource) {
    return planner.isResident(binding, resource);
  }

  /// What a VM waited for came.
  public void answered(Access access) {
    Binding binding = bindings.get(access.binding());
    Copy copy = binding == null ? null : copies.get(binding.vm().id());
    if (copy != null && copy.run != null && copy.run.id == access.run() && access.waited()) {
      copy.run.waitedNanos += Math.max(0, access.latencyNanos());
    }
  }

  /// Leaves some starts without staging from now on, to measure what it is worth.
  public void compareWith(ControlStarts starts) {
    controls = starts;
  }

  /// What staging was worth by the starts that were left without it.
  public List<ControlStarts.Comparison> comparisons() {
    return controls.comparisons();
  }

  /// Plans for the VMs that touched something since the last call, and for those that in-flight
  /// units held up: first for those of which least is on its way.
  public void planTouched() {
    if (!planner.hasRoom()) {
      return;
    }
    if (isStaging()) {
      planner.admitWaiting(clock.nanos());
    }
    planned.clear();
    for (Copy copy : copies.values()) {
      if ((copy.touched || copy.hungry) && !copy.bindings.isEmpty()) {
        planned.add(copy);
      }
    }
    planned.sort(turns);
    for (Copy copy : planned) {
      copy.touched = false;
      plan(copy);
    }
    for (Allocation allocation : allocations.values()) {
      if (allocation.hungry) {
        plan(allocation);
      }
    }
  }

  private void plan(Copy copy) {
    copy.hungry = false;
    Run run = copy.run;
    if (!isStaging() || run == null || run.draw == ControlStarts.Draw.CONTROL) {
      return;
    }
    long now = clock.nanos();
    for (ResourceType type : TYPES) {
      Forecaster.Cursor cursor = run.cursors.get(type);
      if (cursor != null) {
        copy.hungry |= planner.plan(copy.bindings, type, cursor, now);
      }
    }
  }

  private void plan(Allocation allocation) {
    allocation.hungry = !isStaging() || allocation.request.plan(clock.nanos());
  }

  // ---- what the stager reports

  /// The state of a lease changed.
  public void reported(LeaseState state) {
    unconfirmed.remove(state.leaseId());
    tell(planner.book(state, clock.nanos()));
  }

  /// How units ended is heard by the forecaster that spoke for them, whether or not the VM is here
  /// still.
  private void learn(Lease lease, long units, Outcome how, long leadNanos) {
    Binding binding = bindings.getOrDefault(lease.binding(), departed.get(lease.binding()));
    if (binding != null) {
      models.of(binding.vm().program(), binding.space().type()).ended(lease, units, how);
    }
  }

  private void tell(LeaseLedger.@Nullable Progress progress) {
    if (progress == null) {
      return;
    }
    if (progress.news().cancelled() != 0) {
      allocateAgain();
    }
    Lease lease = progress.entry().lease();
    Binding binding = bindings.get(lease.binding());
    if (binding == null) {
      return;
    }
    long now = clock.nanos();
    presume(binding, lease, progress.news().unobserved(), now);
    long ready = progress.ready();
    long unused = progress.news().unused();
    long failed = progress.news().failed();
    String vm = binding.vm().name();
    String program = binding.vm().program().name();
    String space = binding.space().name();
    if (ready != 0) {
      notices.publish(
          new Notice.Staged(
              now,
              vm,
              program,
              space,
              lease.id(),
              Long.bitCount(ready),
              amount(binding.space(), lease, ready)));
    }
    if (unused != 0) {
      notices.publish(
          new Notice.Reclaimed(
              now,
              vm,
              program,
              space,
              lease.id(),
              Long.bitCount(unused),
              amount(binding.space(), lease, unused)));
    }
    if (failed != 0) {
      notices.publish(
          new Notice.Unavailable(
              now,
              vm,
              program,
              space,
              lease.first() + Long.numberOfTrailingZeros(failed),
              Long.bitCount(failed),
              "failed"));
    }
  }

  /// What one copy does not need any more, and was called off, another one's allocation may have
  /// passed over because it was on its way.
  private void allocateAgain() {
    for (Allocation allocation : allocations.values()) {
      if (!allocation.settled) {
        allocation.request.again();
        allocation.hungry = true;
      }
    }
  }

  private void presume(Binding binding, Lease lease, long units, long nowNanos) {
    Copy copy = copies.get(binding.vm().id());
    if (units == 0 || copy == null || copy.run == null) {
      return;
    }
    Forecaster.Cursor cursor = cursor(copy.run, binding, nowNanos);
    for (long left = units; left != 0; left &= left - 1) {
      long index = lease.first() + Long.numberOfTrailingZeros(left);
      cursor.presumed(binding.id(), Resource.of(lease.space(), index));
    }
  }

  private static long amount(Space space, Lease lease, long units) {
    long amount = 0;
    for (long left = units; left != 0; left &= left - 1) {
      amount += space.shape().amount(lease.first() + Long.numberOfTrailingZeros(left), 1);
    }
    return amount;
  }

  /// The stager cannot be reached: nothing is granted until [#confirmed]. What was asked of it may
  /// be lost, so unfinished allocations are planned again then.
  public void disconnected() {
    connected = false;
    copies.values().forEach(Copy::isNotCompared);
    for (Allocation allocation : allocations.values()) {
      allocation.hungry = !allocation.settled;
      allocation.request.again();
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
    proposeAgain();
  }

  /// What was proposed may be lost, or failed and may be tried again.
  private void proposeAgain() {
    for (Copy copy : copies.values()) {
      copy.touched = true;
      if (copy.run != null) {
        copy.run.cursors.values().forEach(Forecaster.Cursor::again);
      }
    }
  }

  /// The tier holds exactly these units of a space.
  public void resident(int space, BitSet units) {
    planner.resident(space, units);
  }

  /// Units left the tier.
  public void evicted(int space, long first, int units) {
    planner.evicted(space, first, units);
  }

  // ---- periodic work

  /// Time passes: asks back what stayed unused, admits what waits, closes finished allocations.
  public void tick() {
    long now = clock.nanos();
    planner.askBackUnused(now);
    if (planner.retryFailed(now)) {
      proposeAgain();
      allocateAgain();
    }
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
    Standing standing = planner.standing(allocation.copy.bindings, allocation.forecast);
    if (standing.isSettled()) {
      allocation.settled = true;
      Vm vm = allocation.copy.vm;
      notices.publish(
          new Notice.Available(
              now,
              vm.name(),
              vm.program().name(),
              allocation.id,
              standing.resident(),
              standing.residentAmount()));
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
    copy.isNotCompared();
    Forecast forecast = new Forecast();
    expectStart(copy, forecast);
    Allocation allocation =
        new Allocation(nextAllocation++, copy, forecast, planner.request(copy.bindings, forecast));
    Standing standing = planner.standing(copy.bindings, forecast);
    allocation.planned = standing.wanted() - standing.resident();
    allocations.values().removeIf(earlier -> earlier.copy == copy);
    allocations.put(allocation.id, allocation);
    notices.publish(
        new Notice.Planned(
            clock.nanos(),
            copy.vm.name(),
            copy.vm.program().name(),
            allocation.id,
            allocation.planned,
            standing.wantedAmount() - standing.residentAmount(),
            standing.probability()));
    plan(allocation);
    return state(allocation);
  }

  /// Takes an allocation back: what is on its way for it is called off, unless the VM's program
  /// runs by now; what is here stays for its period.
  ///
  /// @return whether there was such an allocation
  public boolean release(long id) {
    Allocation allocation = allocations.remove(id);
    if (allocation == null) {
      return false;
    }
    if (allocation.copy.run == null) {
      planner.callOff(allocation.copy.bindings);
    }
    return true;
  }

  /// How far an allocation is, or null if there is none: it never was, or its VM's program stopped.
  public @Nullable AllocationState allocation(long id) {
    Allocation allocation = allocations.get(id);
    return allocation == null ? null : state(allocation);
  }

  private AllocationState state(Allocation allocation) {
    Standing standing = planner.standing(allocation.copy.bindings, allocation.forecast);
    int missing = standing.wanted() - standing.resident();
    return new AllocationState(
        allocation.id,
        allocation.copy.vm,
        allocation.planned,
        Math.max(0, allocation.planned - missing),
        standing.leased(),
        standing.waiting(),
        allocation.settled);
  }

  private void expectStart(Copy copy, Forecast into) {
    long now = clock.nanos();
    copy.bindings.stream()
        .map(binding -> binding.space().type())
        .distinct()
        .map(type -> models.of(copy.vm.program(), type).start(copy.vm.id(), now))
        .forEach(cursor -> cursor.forecast(now, Long.MAX_VALUE / 4, into));
  }

  /// How much of what a program's start is expected to touch is on this host. Asking changes
  /// nothing.
  public OnHost onHost(Program program, ResourceType type) {
    Forecast forecast = new Forecast();
    long now = clock.nanos();
    models.of(program, type).start(NO_VM, now).forecast(now, Long.MAX_VALUE / 4, forecast);
    return planner.onHost(program, type, forecast);
  }

  /// What a VM is expected to touch: from where its copy stands, or, while none runs, from its
  /// start.
  public void expect(int vm, Forecast into) {
    Copy copy = copies.get(vm);
    if (copy == null) {
      return;
    }
    if (copy.run == null) {
      expectStart(copy, into);
    } else {
      copy.run.forecast(clock.nanos(), limits.horizon().toNanos(), into);
    }
  }

  /// Adds what a VM's very next touch of the type that it touched last may be; nothing if no copy
  /// runs in it.
  public void next(int vm, Forecast into) {
    Copy copy = copies.get(vm);
    Forecaster.Cursor cursor = copy == null || copy.run == null ? null : copy.run.last;
    if (cursor != null) {
      cursor.next(clock.nanos(), into);
    }
  }

  /// Whether forecasts are made and staged. Without, accesses are still learnt from, and what is on
  /// its way is called off, except for VMs that an allocation was asked for.
  public void predicting(boolean on) {
    predicting = on;
    for (Copy copy : copies.values()) {
      copy.isNotCompared();
      if (on) {
        copy.touched = true;
      } else if (allocations.values().stream().noneMatch(asked -> asked.copy == copy)) {
        planner.callOff(copy.bindings);
      }
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
      Binding binding = bindings.get(entry.lease().binding());
      if (vm == null || (binding != null && binding.vm().id() == vm)) {
        leases.add(entry);
      }
    }
    return leases;
  }

  /// Ranges that wait for capacity.
  public int waitingRanges() {
    return planner.waitingRanges();
  }

  /// Units granted and neither ready nor ended.
  public int inFlightUnits() {
    return planner.inFlightUnits();
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
    public void unavailable(Binding binding, Range range, String reason) {
      notices.publish(
          new Notice.Unavailable(
              clock.nanos(),
              binding.vm().name(),
              binding.vm().program().name(),
              binding.space().name(),
              range.first(),
              range.units(),
              reason));
    }

    @Override
    public void queued(Binding binding, Range range, int depth) {
      notices.publish(
          new Notice.Queued(
              clock.nanos(),
              binding.vm().name(),
              binding.vm().program().name(),
              binding.space().name(),
              range.first(),
              range.units(),
              depth));
    }
  }
}
