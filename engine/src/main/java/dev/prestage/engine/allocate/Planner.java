package dev.prestage.engine.allocate;

import dev.prestage.engine.access.StagingOutcome;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.Space;
import dev.prestage.engine.resource.Vm;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Decides which forecast extents this host stages now.
///
/// A forecast above its threshold becomes leases in the order of due times, within two limits:
/// bytes held by live leases, and extents in flight. What the bytes do not suffice for is said to
/// be unavailable and waits in a bounded queue until capacity returns or its time has passed. What
/// the in-flight limit stops is simply asked again when something landed, because forecasts are
/// always asked anew. What is ready and stays without demand for its period is asked back.
public final class Planner {
  /// Neighbours up to this many join one lease: 1 MiB, 5 ms of a 200 MB/s link. Larger reads would
  /// delay what is due next behind bytes that are not.
  private static final int COALESCED_EXTENTS = 16;

  /// Neighbours that are due within this time join: five round trips to an origin 10 ms away.
  private static final long COALESCED_NANOS = 50_000_000;

  private final Thresholds thresholds;
  private final Limits limits;
  private final Decisions decisions;
  private final Consumer<StagingOutcome> outcomes;
  private final LeaseLedger ledger = new LeaseLedger();
  private final Pool pool;
  private final Map<Integer, Residency> spaces = new HashMap<>();
  private final PriorityQueue<Waiting> waiting =
      new PriorityQueue<>(Comparator.comparingLong(Waiting::dueNanos));
  private long nextLease;
  private int inFlight;

  /// A range that waits for capacity.
  private record Waiting(Vm vm, long first, int extents, long dueNanos) {}

  private record Candidate(long index, long dueNanos) {}

  /// How far the extents of a forecast are.
  ///
  /// @param wanted extents at or above the threshold
  /// @param resident of these, on this host
  /// @param leased of these, on their way
  /// @param waiting of these, waiting for capacity
  public record Standing(int wanted, int resident, int leased, int waiting) {
    /// Whether nothing more will happen to them by itself.
    public boolean isSettled() {
      return leased == 0 && waiting == 0;
    }
  }

  /// @param firstLease the first lease's id; ids rise from there and must not repeat on a host
  public Planner(
      Thresholds thresholds,
      Limits limits,
      Decisions decisions,
      Consumer<StagingOutcome> outcomes,
      long firstLease) {
    this.thresholds = thresholds;
    this.limits = limits;
    this.decisions = decisions;
    this.outcomes = outcomes;
    this.pool = new Pool(limits.stagedBytes());
    this.nextLease = firstLease;
  }

  /// A space can be staged from now on. Repeating it is harmless.
  public void open(Space space) {
    spaces.computeIfAbsent(space.id(), _ -> new Residency(space));
  }

  /// Grants what a forecast asks for, as far as the limits allow.
  ///
  /// @return whether something was left undone that may be possible when extents in flight have
  ///   landed
  public boolean plan(Vm vm, Forecast forecast, long nowNanos) {
    Residency residency = spaces.get(vm.space().id());
    if (residency == null) {
      return false;
    }
    List<Candidate> candidates = candidates(vm, forecast, residency);
    for (Candidate candidate : candidates) {
      if (!residency.isOpen(candidate.index())) {
        continue;
      }
      if (inFlight >= limits.inFlightExtents()) {
        return true;
      }
      grantAround(vm, candidate, candidates, residency, nowNanos);
    }
    return false;
  }

  private List<Candidate> candidates(Vm vm, Forecast forecast, Residency residency) {
    double threshold = thresholds.of(vm.program(), vm.space().type());
    List<Candidate> candidates = new ArrayList<>();
    for (int row = 0; row < forecast.size(); row++) {
      long resource = forecast.resource(row);
      long index = Resource.index(resource);
      if (forecast.probability(row) >= threshold
          && Resource.space(resource) == residency.space().id()
          && residency.isOpen(index)) {
        candidates.add(new Candidate(index, forecast.dueNanos(row)));
      }
    }
    candidates.sort(
        Comparator.comparingLong(Candidate::dueNanos).thenComparingLong(Candidate::index));
    return candidates;
  }

  private void grantAround(
      Vm vm, Candidate seed, List<Candidate> candidates, Residency residency, long nowNanos) {
    int room = Math.min(COALESCED_EXTENTS, limits.inFlightExtents() - inFlight);
    BitSet near = new BitSet();
    for (Candidate candidate : candidates) {
      long distance = candidate.index() - seed.index();
      if (Math.abs(distance) < room
          && candidate.dueNanos() - seed.dueNanos() <= COALESCED_NANOS
          && residency.isOpen(candidate.index())) {
        near.set((int) distance + COALESCED_EXTENTS);
      }
    }
    int end = Math.min(near.nextClearBit(COALESCED_EXTENTS), COALESCED_EXTENTS + room);
    int start = Math.max(near.previousClearBit(COALESCED_EXTENTS) + 1, end - room);
    long first = seed.index() + start - COALESCED_EXTENTS;
    int extents = end - start;
    if (!grant(vm, first, extents, seed.dueNanos(), residency, nowNanos)) {
      decisions.unavailable(vm, first, extents, "capacity");
      if (waiting.size() < limits.waitingRanges()) {
        waiting.add(new Waiting(vm, first, extents, seed.dueNanos()));
        residency.waiting(first, extents, true);
        decisions.queued(vm, first, extents, waiting.size());
      }
    }
  }

  private boolean grant(
      Vm vm, long first, int extents, long dueNanos, Residency residency, long nowNanos) {
    Space space = residency.space();
    if (!pool.reserve((long) extents * space.unitBytes())) {
      return false;
    }
    Lease lease = new Lease(nextLease++, vm.id(), space.id(), first, extents, dueNanos);
    ledger.grant(lease, nowNanos);
    residency.claimed(first, extents, true);
    inFlight += extents;
    decisions.granted(lease);
    return true;
  }

  /// Books what a stager reports.
  ///
  /// @return what changed, or null for a lease that is not live
  public LeaseLedger.@Nullable Progress book(LeaseState state) {
    LeaseLedger.Progress progress = ledger.book(state, outcomes);
    if (progress != null) {
      settle(progress);
    }
    return progress;
  }

  /// Takes over a lease that its stager holds from before this planner's time, or books its state
  /// if it is known.
  public void held(Lease lease, LeaseState state, long nowNanos) {
    if (ledger.find(lease.id()) != null) {
      book(state);
      return;
    }
    nextLease = Math.max(nextLease, lease.id() + 1);
    Residency residency = spaces.get(lease.space());
    if (residency == null) {
      decisions.askedBack(lease);
      return;
    }
    LeaseLedger.Entry entry = ledger.adopt(lease, state, nowNanos);
    pool.adopt(Long.bitCount(entry.live()) * (long) residency.space().unitBytes());
    inFlight += Long.bitCount(entry.inFlight());
    forEach(lease, entry.live(), index -> residency.claimed(index, 1, true));
  }

  /// The stager no longer knows these leases.
  public void abandon(Collection<Long> leaseIds) {
    for (long id : List.copyOf(leaseIds)) {
      LeaseLedger.Entry entry = ledger.find(id);
      if (entry != null) {
        settle(ledger.abandon(entry, outcomes));
      }
    }
  }

  private void settle(LeaseLedger.Progress progress) {
    Lease lease = progress.entry().lease();
    inFlight -= progress.landed();
    Residency residency = openSpace(lease.space());
    pool.release(Long.bitCount(progress.ended()) * (long) residency.space().unitBytes());
    forEach(lease, progress.ready(), index -> residency.resident(index, 1, true));
    forEach(lease, progress.ended(), index -> residency.claimed(index, 1, false));
    forEach(lease, progress.unused(), index -> residency.resident(index, 1, false));
  }

  private Residency openSpace(int number) {
    Residency residency = spaces.get(number);
    if (residency == null) {
      throw new IllegalStateException("a lease is live in space " + number + ", which is not open");
    }
    return residency;
  }

  private interface IndexConsumer {
    void accept(long index);
  }

  private static void forEach(Lease lease, long bits, IndexConsumer consumer) {
    for (long left = bits; left != 0; left &= left - 1) {
      consumer.accept(lease.first() + Long.numberOfTrailingZeros(left));
    }
  }

  /// A guest demanded an extent: it is here, or comes by demand.
  public void demanded(long resource) {
    Residency residency = spaces.get(Resource.space(resource));
    if (residency != null) {
      residency.resident(Resource.index(resource), 1, true);
    }
  }

  /// The tier says what it holds.
  public void resident(int space, BitSet extents) {
    Residency residency = spaces.get(space);
    if (residency != null) {
      residency.replace(extents);
    }
  }

  /// Extents left the tier.
  public void evicted(int space, long first, int extents) {
    Residency residency = spaces.get(space);
    if (residency != null) {
      residency.resident(first, extents, false);
    }
  }

  /// Grants what waited while there is room, and drops what has waited beyond the horizon after its
  /// due time.
  public void admitWaiting(long nowNanos) {
    for (Waiting head = waiting.peek(); head != null; head = waiting.peek()) {
      Residency residency = spaces.get(head.vm().space().id());
      boolean stale = nowNanos - head.dueNanos() > limits.horizon().toNanos();
      boolean covered = residency == null || residency.areResident(head.first(), head.extents());
      if (residency != null && !stale && !covered) {
        if (inFlight >= limits.inFlightExtents()
            || !grant(
                head.vm(), head.first(), head.extents(), head.dueNanos(), residency, nowNanos)) {
          return;
        }
      }
      waiting.remove();
      if (residency != null) {
        residency.waiting(head.first(), head.extents(), false);
      }
      if (stale) {
        decisions.unavailable(head.vm(), head.first(), head.extents(), "stale");
      }
    }
  }

  /// Asks back what has been ready without demand for the whole period.
  public void askBackUnused(long nowNanos) {
    long period = limits.reclaimAfter().toNanos();
    for (LeaseLedger.Entry entry : List.copyOf(ledger.live())) {
      long due = Math.max(entry.lease().dueNanos(), entry.grantedNanos());
      if (nowNanos - due > period && LeaseLedger.askBack(entry)) {
        decisions.askedBack(entry.lease());
      }
    }
  }

  /// Calls off what is in flight or waits for a VM that stopped.
  public void stopped(Vm vm) {
    for (LeaseLedger.Entry entry : List.copyOf(ledger.live())) {
      if (entry.lease().vm() == vm.id() && entry.inFlight() != 0) {
        decisions.calledOff(entry.lease());
      }
    }
    Residency residency = spaces.get(vm.space().id());
    for (Waiting range : List.copyOf(waiting)) {
      if (range.vm().id() == vm.id()) {
        waiting.remove(range);
        if (residency != null) {
          residency.waiting(range.first(), range.extents(), false);
        }
      }
    }
  }

  /// How far the extents of a forecast are, for a VM.
  public Standing standing(Vm vm, Forecast forecast) {
    Residency residency = spaces.get(vm.space().id());
    double threshold = thresholds.of(vm.program(), vm.space().type());
    int wanted = 0;
    int resident = 0;
    int leased = 0;
    int queued = 0;
    for (int row = 0; row < forecast.size() && residency != null; row++) {
      long index = Resource.index(forecast.resource(row));
      if (forecast.probability(row) >= threshold
          && Resource.space(forecast.resource(row)) == residency.space().id()
          && index < residency.space().units()) {
        wanted++;
        if (residency.isResident(index)) {
          resident++;
        } else if (residency.isClaimed(index)) {
          leased++;
        } else if (residency.isWaiting(index)) {
          queued++;
        }
      }
    }
    return new Standing(wanted, resident, leased, queued);
  }

  /// The account.
  public LeaseLedger ledger() {
    return ledger;
  }

  /// How many ranges wait for capacity.
  public int waitingRanges() {
    return waiting.size();
  }

  /// Extents granted and neither ready nor ended.
  public int inFlightExtents() {
    return inFlight;
  }

  /// Bytes held by live leases.
  public long stagedBytes() {
    return pool.reserved();
  }
}
