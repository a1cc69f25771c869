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

  /// How long an extent that failed rests: five seconds, so that a dead origin is asked for a lost
  /// extent some ten times a minute at the most.
  private static final long RETRY_NANOS = 5_000_000_000L;

  private final Thresholds thresholds;
  private final Limits limits;
  private final Decisions decisions;
  private final Consumer<StagingOutcome> outcomes;
  private final LeaseLedger ledger = new LeaseLedger();
  private final Pool pool;
  private final Map<Integer, Residency> spaces = new HashMap<>();
  private final PriorityQueue<Range> waiting =
      new PriorityQueue<>(Comparator.comparingLong(Range::dueNanos));
  private long nextLease;
  private int inFlight;
  private long demanded;
  private boolean overflowing;
  private long retriedNanos;

  /// A range that is to be staged, or waits for capacity.
  private record Range(Vm vm, long first, int extents, long dueNanos) {}

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

  /// Whether anything may be granted before extents in flight have landed.
  public boolean hasRoom() {
    return inFlight < limits.inFlightExtents() && budgetLeft() > 0;
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
    double threshold = thresholds.of(vm.program(), vm.space().type());
    for (Candidate candidate : candidates(forecast, threshold, residency)) {
      if (!residency.isOpen(candidate.index())) {
        continue;
      }
      if (!hasRoom()) {
        return true;
      }
      int affordable = affordable(residency);
      if (affordable == 0 && waiting.size() >= limits.waitingRanges()) {
        refuse(vm, candidate);
        return false;
      }
      int room = affordable == 0 ? COALESCED_EXTENTS : Math.min(COALESCED_EXTENTS, affordable);
      Range range = around(vm, candidate, room, forecast, threshold, residency);
      if (affordable == 0) {
        decisions.unavailable(vm, range.first(), range.extents(), "capacity");
        await(range, residency);
        decisions.queued(vm, range.first(), range.extents(), waiting.size());
      } else {
        grant(range, residency, nowNanos);
      }
    }
    return false;
  }

  private static List<Candidate> candidates(
      Forecast forecast, double threshold, Residency residency) {
    List<Candidate> candidates = new ArrayList<>();
    for (int row = 0; row < forecast.size(); row++) {
      if (isCandidate(forecast, row, threshold, residency)) {
        candidates.add(
            new Candidate(Resource.index(forecast.resource(row)), forecast.dueNanos(row)));
      }
    }
    candidates.sort(
        Comparator.comparingLong(Candidate::dueNanos).thenComparingLong(Candidate::index));
    return candidates;
  }

  private static boolean isCandidate(
      Forecast forecast, int row, double threshold, Residency residency) {
    long resource = forecast.resource(row);
    return forecast.probability(row) >= threshold
        && Resource.space(resource) == residency.space().id()
        && residency.isOpen(Resource.index(resource));
  }

  /// How many extents all limits leave room for.
  private int affordable(Residency residency) {
    long byBytes = pool.free() / residency.space().unitBytes();
    int inFlightRoom = limits.inFlightExtents() - inFlight;
    return (int) Math.min(Math.min(byBytes, inFlightRoom), budgetLeft());
  }

  /// How many extents may still be staged in vain. The worst is assumed of what is live, so the
  /// budget is never overdrawn.
  private long budgetLeft() {
    if (Double.isInfinite(limits.uselessPerDemand())) {
      return Integer.MAX_VALUE;
    }
    return (long) Math.max(0, limits.uselessPerDemand() * demanded - ledger.uselessAtWorst());
  }

  /// The candidates next to `seed` that are due about when it is: those behind it first, because
  /// most touches ascend, then those before it.
  private static Range around(
      Vm vm, Candidate seed, int room, Forecast forecast, double threshold, Residency residency) {
    long latest = seed.dueNanos() + COALESCED_NANOS;
    long first = seed.index();
    long end = first + 1;
    while (end - first < room && joins(end, latest, forecast, threshold, residency)) {
      end++;
    }
    while (end - first < room
        && first > 0
        && joins(first - 1, latest, forecast, threshold, residency)) {
      first--;
    }
    return new Range(vm, first, (int) (end - first), seed.dueNanos());
  }

  private static boolean joins(
      long index, long latestNanos, Forecast forecast, double threshold, Residency residency) {
    if (!residency.isOpen(index)) {
      return false;
    }
    int row = forecast.row(Resource.of(residency.space().id(), index));
    return row >= 0
        && forecast.dueNanos(row) <= latestNanos
        && isCandidate(forecast, row, threshold, residency);
  }

  /// The queue is full: said once, until there is room in it again.
  private void refuse(Vm vm, Candidate candidate) {
    if (!overflowing) {
      overflowing = true;
      decisions.unavailable(vm, candidate.index(), 1, "capacity");
    }
  }

  private void await(Range range, Residency residency) {
    waiting.add(range);
    residency.waiting(range.first(), range.extents(), true);
  }

  private void grant(Range range, Residency residency, long nowNanos) {
    Space space = residency.space();
    int extents = range.extents();
    pool.reserve((long) extents * space.unitBytes());
    Lease lease =
        new Lease(
            nextLease++, range.vm().id(), space.id(), range.first(), extents, range.dueNanos());
    ledger.grant(lease, nowNanos);
    residency.claimed(range.first(), extents, true);
    inFlight += extents;
    decisions.granted(lease);
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
  ///
  /// @return what changed, or null for a lease that was not live here
  public LeaseLedger.@Nullable Progress held(Lease lease, LeaseState state, long nowNanos) {
    LeaseLedger.Entry known = ledger.find(lease.id());
    if (known != null) {
      LeaseLedger.heldStill(known);
      return book(state);
    }
    nextLease = Math.max(nextLease, lease.id() + 1);
    Residency residency = spaces.get(lease.space());
    if (residency == null) {
      decisions.askedBack(lease);
      return null;
    }
    LeaseLedger.Entry entry = ledger.adopt(lease, state, nowNanos);
    pool.adopt(Long.bitCount(entry.live()) * (long) residency.space().unitBytes());
    inFlight += Long.bitCount(entry.inFlight());
    forEach(lease, entry.live(), index -> residency.claimed(index, 1, true));
    forEach(lease, entry.live() & state.ready(), index -> residency.resident(index, 1, true));
    return null;
  }

  /// The stager no longer knows these leases.
  public void abandon(Collection<Long> leaseIds) {
    for (long id : leaseIds) {
      LeaseLedger.Entry entry = ledger.find(id);
      if (entry != null) {
        settle(ledger.abandon(entry, outcomes));
      }
    }
  }

  private void settle(LeaseLedger.Progress progress) {
    Lease lease = progress.entry().lease();
    LeaseState news = progress.news();
    inFlight -= progress.landed();
    Residency residency = openSpace(lease.space());
    pool.release(Long.bitCount(progress.ended()) * (long) residency.space().unitBytes());
    long arrived = progress.ready() | news.useful() | news.late() | news.redundant();
    forEach(lease, arrived, index -> residency.resident(index, 1, true));
    forEach(lease, progress.ended(), index -> residency.claimed(index, 1, false));
    forEach(lease, news.unused(), index -> residency.resident(index, 1, false));
    forEach(lease, news.failed(), residency::failed);
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
    demanded++;
    Residency residency = spaces.get(Resource.space(resource));
    // A guest may ask beyond the end; it is answered with an error, and nothing came.
    if (residency != null && Resource.index(resource) < residency.space().units()) {
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

  /// Grants what waited while there is room, earliest due time first and in parts where the room
  /// does not suffice for a whole range. Drops what came by demand meanwhile, and what has waited
  /// beyond the horizon after its due time.
  public void admitWaiting(long nowNanos) {
    for (Range head = waiting.peek(); head != null; head = waiting.peek()) {
      Residency residency = openSpace(head.vm().space().id());
      boolean stale = nowNanos - head.dueNanos() > limits.horizon().toNanos();
      int room = Math.min(COALESCED_EXTENTS, affordable(residency));
      if (!stale && room <= 0) {
        return;
      }
      waiting.remove();
      overflowing = false;
      residency.waiting(head.first(), head.extents(), false);
      if (stale) {
        decisions.unavailable(head.vm(), head.first(), head.extents(), "stale");
      } else {
        admit(head, room, residency, nowNanos);
      }
    }
  }

  private void admit(Range range, int room, Residency residency, long nowNanos) {
    long end = range.first() + range.extents();
    long first = range.first();
    while (first < end && !residency.isOpen(first)) {
      first++;
    }
    long stop = first;
    while (stop < end && stop - first < room && residency.isOpen(stop)) {
      stop++;
    }
    if (stop > first) {
      grant(
          new Range(range.vm(), first, (int) (stop - first), range.dueNanos()),
          residency,
          nowNanos);
    }
    if (stop < end) {
      await(new Range(range.vm(), stop, (int) (end - stop), range.dueNanos()), residency);
    }
  }

  /// Asks back what has been ready without demand for the whole period.
  public void askBackUnused(long nowNanos) {
    long period = limits.reclaimAfter().toNanos();
    List<Lease> unused = new ArrayList<>();
    for (LeaseLedger.Entry entry : ledger.live()) {
      long due = Math.max(entry.lease().dueNanos(), entry.grantedNanos());
      if (nowNanos - due > period && LeaseLedger.askBack(entry)) {
        unused.add(entry.lease());
      }
    }
    unused.forEach(decisions::askedBack);
  }

  /// Lets extents that failed be tried again, once they have rested: an origin that refuses at once
  /// would else be asked again at once.
  public void retryFailed(long nowNanos) {
    if (nowNanos - retriedNanos >= RETRY_NANOS) {
      retriedNanos = nowNanos;
      spaces.values().forEach(Residency::forgetFailed);
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
    waiting.removeIf(range -> {
      boolean gone = range.vm().id() == vm.id();
      if (gone && residency != null) {
        residency.waiting(range.first(), range.extents(), false);
      }
      return gone;
    });
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
