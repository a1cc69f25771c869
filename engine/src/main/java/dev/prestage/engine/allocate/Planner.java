package dev.prestage.engine.allocate;

import dev.prestage.engine.access.Feedback;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Range;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Space;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// Decides which forecast units this host stages now.
///
/// A forecast above its threshold becomes leases in the order of due times, within two limits:
/// bytes held by live leases, and units in flight. What the bytes do not suffice for, or what the
/// quotas of its VM, program and tenant do not allow, is said to be unavailable and waits in a
/// bounded queue until there is room or its time has passed; the one that holds least has the first
/// turn. What the in-flight limit stops is simply asked again when something landed, because
/// forecasts are always asked anew. What is ready and stays without demand for its period is asked
/// back, and while others wait for the room, what is least likely to be of use still is asked back
/// before that.
public final class Planner {
  /// Neighbours up to this many join one lease: 1 MiB, 5 ms of a 200 MB/s link. Larger reads would
  /// delay what is due next behind bytes that are not.
  private static final int COALESCED_UNITS = 16;

  /// Neighbours that are due within this time join: five round trips to an origin 10 ms away.
  private static final long COALESCED_NANOS = 50_000_000;

  /// How long a unit that failed rests: five seconds, so that a dead origin is asked for a lost
  /// unit some ten times a minute at the most.
  private static final long RETRY_NANOS = 5_000_000_000L;

  /// Of what live leases may hold, so much has to come in vain before an undemanded unit is taken
  /// for useless: a third, a quarter of the tier where three quarters may be staged.
  private static final int HELD_SHARE = 3;

  /// While ranges wait and less than a sixteenth is free, leases are asked back until an eighth is.
  /// The two shares differ so that room comes back for many ranges at once, and not lease by lease.
  private static final int PRESSED_SHARE = 16;

  private static final int RELIEVED_SHARE = 8;

  /// With a budget: the threshold falls from .95 to .03 over this share of the budget and so many
  /// units.
  private static final double BUDGET_SLACK = 0.02;

  private static final double BUDGET_SLACK_UNITS = 100;
  private static final double SHY_LOGIT = 3;
  private static final double BOLD_LOGIT = Math.log(0.03 / 0.97);

  private final Limits limits;
  private final Decisions decisions;
  private final Feedback feedback;
  private final LeaseLedger ledger = new LeaseLedger();
  private final Pool pool;
  private final Price price = new Price();
  private final Worth worth;
  private final Survey survey;
  private final Residencies residencies = new Residencies();
  private final InFlight inFlight;
  private final Holders holders;
  private final WaitingRanges waiting;
  private final long shortestPeriodNanos;

  private final Forecast proposal = new Forecast();
  private final Forecaster.Open open = new OpenUnits();
  private Forecaster.Lead lead = new Forecaster.Lead(0, 1);
  private List<Binding> asking = List.of();
  private double expected;
  private long came;
  private long nextLease;
  private long demanded;
  private boolean overflowing;
  private long retriedNanos;

  /// A row of a forecast that may be staged for a binding.
  private record Candidate(
      Binding binding,
      Holder holder,
      Residency residency,
      double threshold,
      int row,
      long index,
      long dueNanos) {}

  /// @param firstLease the first lease's id; ids rise from there and must not repeat on a host
  public Planner(
      Thresholds thresholds,
      Limits limits,
      Decisions decisions,
      Feedback feedback,
      long firstLease) {
    this.worth = new Worth(thresholds, price, residencies);
    this.survey = new Survey(worth, price, residencies);
    this.limits = limits;
    this.decisions = decisions;
    this.feedback = feedback;
    this.pool = new Pool(limits.stagedBytes());
    this.inFlight = new InFlight(limits.inFlightUnits());
    this.holders = new Holders(limits.quotas());
    this.waiting = new WaitingRanges(limits.waitingRanges());
    this.shortestPeriodNanos = limits.leastReclaimAfter().toNanos();
    this.nextLease = firstLease;
  }

  /// The space of a binding can be staged from now on. Repeating it is harmless.
  public void open(Binding binding) {
    residencies.open(binding);
    holders.bound(binding.id(), binding.vm());
  }

  /// A binding is gone: nothing is granted for it any more, and what is known of its space is
  /// forgotten when nobody else is bound to it and all leases have ended.
  public void close(Binding binding) {
    holders.unbound(binding.id());
    residencies.close(binding);
  }

  /// Asks a cursor what is most worth staging next and grants it, as far as the limits allow.
  ///
  /// @param bindings of one VM; those of other types are left alone
  /// @return whether more may be possible when units in flight have landed
  public boolean plan(
      List<Binding> bindings, ResourceType type, Forecaster.Cursor cursor, long nowNanos) {
    long most = Math.min(roomInFlight(bindings, type), budgetLeft());
    if (most <= 0 || bindings.isEmpty()) {
      return true;
    }
    double least = worthwhile(bindings, type);
    proposal.clear();
    asking = bindings;
    cursor.propose(open, lead(bindings, type), nowNanos, least, (int) most, proposal);
    asking = List.of();
    if (proposal.size() == 0) {
      return false;
    }
    List<Candidate> candidates = candidates(bindings, proposal, true, _ -> least);
    boolean hungry = grant(candidates, 0, proposal, nowNanos) < candidates.size();
    return hungry || proposal.size() >= most;
  }

  /// How many more units may be on their way. A promise of a rate takes no time, and does not wait
  /// behind content that does.
  private int roomInFlight(List<Binding> bindings, ResourceType type) {
    for (int i = 0; i < bindings.size(); i++) {
      Space space = bindings.get(i).space();
      if (space.type() == type) {
        return inFlight.room(space.shape());
      }
    }
    return 0;
  }

  private boolean hasRoom(Residency residency) {
    return inFlight.room(residency.space().shape()) > 0 && budgetLeft() > 0;
  }

  /// The probability from which on staging is worthwhile. While what is staged in vain has a
  /// budget, what is left of it decides: with nothing left nearly certain units only, and little by
  /// little those that are likely to be in vain.
  private double worthwhile(List<Binding> bindings, ResourceType type) {
    if (Double.isInfinite(limits.uselessPerDemand())) {
      return worth.threshold(bindings, type, inFlight.load());
    }
    double budget = limits.uselessPerDemand() * demanded;
    double left = budget - ledger.uselessAtWorst() + expected;
    double share = Math.clamp(left / (BUDGET_SLACK * budget + BUDGET_SLACK_UNITS), 0, 1);
    double logit = BOLD_LOGIT * share + SHY_LOGIT * (1 - share);
    return 1 / (1 + Math.exp(-logit));
  }

  /// How much of a forecast is here, of content: what stands ready for one VM is no reason to bring
  /// another one.
  public OnHost onHost(Program program, ResourceType type, Forecast forecast) {
    return survey.onHost(program, type, forecast);
  }

  /// How long it takes from a grant until a unit is here: the slowest of the spaces at hand.
  private Forecaster.Lead lead(List<Binding> bindings, ResourceType type) {
    long nanos = 0;
    long held = Integer.MAX_VALUE;
    for (int i = 0; i < bindings.size(); i++) {
      Binding binding = bindings.get(i);
      Residency residency = residencies.of(binding);
      if (binding.space().type() == type && residency != null) {
        nanos = Math.max(nanos, residency.fetchNanos());
        held = Math.min(held, mostHeldBytes() / HELD_SHARE / unitsOfRoom(residency));
      }
    }
    int units = (int) Math.max(1, held);
    if (Math.abs(nanos - lead.nanos()) > lead.nanos() / 16 || units != lead.heldUnits()) {
      lead = new Forecaster.Lead(nanos, units);
    }
    return lead;
  }

  /// What one VM can come to hold.
  private long mostHeldBytes() {
    return Math.min(limits.stagedBytes(), limits.quotas().mostBytesOfVm());
  }

  /// That of a resource for the bindings that are asked for.
  private @Nullable Residency asked(int space) {
    Residency residency = residencies.of(space);
    for (int i = 0; i < asking.size() && residency == null; i++) {
      residency = residencies.ofBinding(space, asking.get(i).id());
    }
    return residency;
  }

  /// What may be staged, as a cursor sees it.
  private final class OpenUnits implements Forecaster.Open {
    @Override
    public boolean isOpen(long resource) {
      Residency residency = asked(Resource.space(resource));
      return residency != null && isAsking(residency) && residency.isOpen(Resource.index(resource));
    }

    /// Another copy's disk is none of this one's business.
    private boolean isAsking(Residency residency) {
      for (int i = 0; i < asking.size(); i++) {
        if (asking.get(i).space().id() == residency.space().id()) {
          return true;
        }
      }
      return false;
    }

    @Override
    public long came() {
      return came;
    }
  }

  /// Whether anything may be granted before units in flight have landed.
  public boolean hasRoom() {
    return inFlight.hasRoom() && budgetLeft() > 0;
  }

  /// Units that a VM manager asked for, in the order in which they are due, and how far they were
  /// seen to. The order is made once: a request of thousands of units is looked at again each time
  /// a few units have landed.
  public final class Request {
    private final List<Candidate> candidates;
    private final Forecast forecast;
    private int next;

    private Request(List<Candidate> candidates, Forecast forecast) {
      this.candidates = candidates;
      this.forecast = forecast;
    }

    /// Grants more of it, as far as the limits allow.
    ///
    /// @return whether something was left undone that may be possible when units in flight have
    ///   landed
    public boolean plan(long nowNanos) {
      next = grant(candidates, next, forecast, nowNanos);
      return next < candidates.size();
    }

    /// What was granted may be lost: all of it is looked at again.
    public void again() {
      next = 0;
    }
  }

  /// A request for all of a forecast that is worthwhile.
  ///
  /// @param bindings of one VM; what the forecast says of other spaces is left alone
  /// @param forecast stays as it is from now on
  public Request request(List<Binding> bindings, Forecast forecast) {
    return new Request(candidates(bindings, forecast, false, worth::threshold), forecast);
  }

  /// Grants what a forecast asks for, as far as the limits allow.
  ///
  /// @return whether something was left undone that may be possible when units in flight have
  ///   landed
  boolean plan(List<Binding> bindings, Forecast forecast, long nowNanos) {
    return request(bindings, forecast).plan(nowNanos);
  }

  /// Grants candidates in their order from one on.
  ///
  /// @return the first one that may be possible when units in flight have landed; their number, if
  ///   none is left
  private int grant(List<Candidate> candidates, int from, Forecast forecast, long nowNanos) {
    for (int i = from; i < candidates.size(); i++) {
      Candidate candidate = candidates.get(i);
      Residency residency = candidate.residency();
      if (!residency.isOpen(candidate.index())) {
        continue;
      }
      if (!hasRoom(residency)) {
        return i;
      }
      int affordable = affordable(residency, candidate.holder());
      if (affordable == 0 && !makePlaceInQueue(candidate.holder())) {
        refuse(candidate);
        return candidates.size();
      }
      int room = affordable == 0 ? COALESCED_UNITS : Math.min(COALESCED_UNITS, affordable);
      Wanted wanted = around(candidate, room, forecast);
      if (affordable == 0) {
        decisions.unavailable(
            wanted.binding(), wanted.range(), shortOf(residency, wanted.holder()));
        await(wanted, residency);
        decisions.queued(wanted.binding(), wanted.range(), waiting.size());
      } else {
        grant(wanted, residency, nowNanos);
      }
    }
    return candidates.size();
  }

  /// @param openOnly whether units that cannot be granted now are left out for good
  private List<Candidate> candidates(
      List<Binding> bindings,
      Forecast forecast,
      boolean openOnly,
      ToDoubleFunction<Binding> least) {
    List<Candidate> candidates = new ArrayList<>();
    for (Binding binding : bindings) {
      Residency residency = residencies.of(binding);
      Holder holder = holders.ofBinding(binding.id());
      if (residency == null || holder == null || !residency.isBound(binding.id())) {
        continue;
      }
      double threshold = least.applyAsDouble(binding);
      for (int row = 0; row < forecast.size(); row++) {
        if (isWorthwhile(forecast, row, threshold, residency)
            && (!openOnly || residency.isOpen(Resource.index(forecast.resource(row))))) {
          candidates.add(
              new Candidate(
                  binding,
                  holder,
                  residency,
                  threshold,
                  row,
                  Resource.index(forecast.resource(row)),
                  forecast.dueNanos(row)));
        }
      }
    }
    candidates.sort(
        Comparator.comparingLong(Candidate::dueNanos).thenComparingLong(Candidate::index));
    return candidates;
  }

  private static boolean isWorthwhile(
      Forecast forecast, int row, double threshold, Residency residency) {
    return forecast.probability(row) >= threshold
        && Resource.space(forecast.resource(row)) == residency.space().id();
  }

  /// How many units all limits leave room for.
  private int affordable(Residency residency, Holder holder) {
    long unit = unitAmount(residency);
    long byAmount =
        unit == 0 ? Integer.MAX_VALUE : Math.min(pool.free(), holder.freeBytes()) / unit;
    return (int)
        Math.min(Math.min(byAmount, inFlight.room(residency.space().shape())), budgetLeft());
  }

  private boolean mayHoldMore(Wanted wanted) {
    return wanted.holder().freeBytes() >= unitAmount(residencyOf(wanted));
  }

  /// Why a unit cannot be had now, in one word.
  private String shortOf(Residency residency, Holder holder) {
    long unit = unitAmount(residency);
    return holder.freeBytes() < unit && pool.free() >= unit ? "quota" : "capacity";
  }

  private Residency residencyOf(Wanted wanted) {
    return residencies.require(wanted.range().space(), wanted.binding().id());
  }

  /// Makes sure that a range of a VM may wait: in a full queue, one of a VM that has more gives way
  /// and is said to be unavailable.
  ///
  /// @return whether there is a place
  private boolean makePlaceInQueue(Holder holder) {
    if (!waiting.isFull()) {
      return true;
    }
    Wanted displaced = waiting.displaceFor(holder);
    if (displaced == null) {
      return false;
    }
    noLongerWaits(displaced);
    decisions.unavailable(
        displaced.binding(),
        displaced.range(),
        shortOf(residencyOf(displaced), displaced.holder()));
    return true;
  }

  private void noLongerWaits(Wanted wanted) {
    Range range = wanted.range();
    residencyOf(wanted).waiting(range.first(), range.units(), false);
  }

  /// How many units may still be staged in vain. The worst is assumed of what is live, so the
  /// budget is never overdrawn.
  private long budgetLeft() {
    if (Double.isInfinite(limits.uselessPerDemand())) {
      return Integer.MAX_VALUE;
    }
    return (long) Math.max(0, limits.uselessPerDemand() * demanded - ledger.uselessAtWorst());
  }

  private static long unitAmount(Residency residency) {
    return residency.space().shape().contentAmount();
  }

  /// What to divide room by: units that take none are as many as the room has bytes.
  private static long unitsOfRoom(Residency residency) {
    return Math.max(1, unitAmount(residency));
  }

  /// The candidates next to `seed` that are due about when it is: those behind it first, because
  /// most touches ascend, then those before it.
  private static Wanted around(Candidate seed, int room, Forecast forecast) {
    Residency residency = seed.residency();
    long latest = seed.dueNanos() + COALESCED_NANOS;
    long first = seed.index();
    long end = first + 1;
    while (end - first < room
        && joins(seed.index(), end, latest, forecast, seed.threshold(), residency)) {
      end++;
    }
    while (end - first < room
        && first > 0
        && joins(seed.index(), first - 1, latest, forecast, seed.threshold(), residency)) {
      first--;
    }
    return new Wanted(
        seed.binding(),
        seed.holder(),
        new Range(residency.space().id(), first, (int) (end - first)),
        (float) forecast.probability(seed.row()),
        forecast.experts(seed.row()),
        seed.dueNanos());
  }

  private static boolean joins(
      long seed,
      long index,
      long latestNanos,
      Forecast forecast,
      double threshold,
      Residency residency) {
    if (!residency.isOpen(index) || !residency.space().shape().belongTogether(seed, index)) {
      return false;
    }
    int row = forecast.row(Resource.of(residency.space().id(), index));
    return row >= 0
        && forecast.dueNanos(row) <= latestNanos
        && isWorthwhile(forecast, row, threshold, residency);
  }

  /// The queue is full: said once, until there is room in it again.
  private void refuse(Candidate candidate) {
    if (!overflowing) {
      overflowing = true;
      int space = candidate.binding().space().id();
      decisions.unavailable(
          candidate.binding(),
          new Range(space, candidate.index(), 1),
          shortOf(candidate.residency(), candidate.holder()));
    }
  }

  private void await(Wanted wanted, Residency residency) {
    waiting.add(wanted);
    residency.waiting(wanted.range().first(), wanted.range().units(), true);
  }

  private void grant(Wanted wanted, Residency residency, long nowNanos) {
    Range range = wanted.range();
    pool.reserve(range.units() * unitAmount(residency));
    Lease lease =
        new Lease(
            nextLease++,
            wanted.binding().id(),
            range,
            0,
            wanted.probability(),
            wanted.experts(),
            wanted.dueNanos(),
            Math.max(wanted.dueNanos(), nowNanos)
                + limits.reclaimAfter(residency.space().type()).toNanos());
    ledger.grant(lease, holders.use(wanted.holder()), nowNanos);
    long parts = InFlight.parts(residency.space().shape(), range.units());
    wanted.holder().take(range.units() * unitAmount(residency), parts);
    residency.leased();
    residency.claimed(range.first(), range.units(), true);
    inFlight.begun(parts);
    came += range.units();
    price.came(range.units());
    expected += range.units() * (double) wanted.probability();
    decisions.granted(lease);
  }

  /// Books what a stager reports.
  ///
  /// @return what changed, or null for a lease that is not live
  public LeaseLedger.@Nullable Progress book(LeaseState state, long nowNanos) {
    LeaseLedger.Progress progress = ledger.book(state, feedback);
    if (progress != null) {
      if (progress.ready() != 0) {
        Residency residency = residencies.require(progress.entry().lease());
        residency.fetched(nowNanos - progress.entry().grantedNanos());
        price.landed(
            Long.bitCount(progress.ready()) * unitAmount(residency),
            inFlight.load() >= .5,
            nowNanos);
      }
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
      return book(state, nowNanos);
    }
    nextLease = Math.max(nextLease, lease.id() + 1);
    Residency residency = residencies.of(lease.space(), lease.binding());
    Holder holder = holders.ofBinding(lease.binding());
    if (residency == null
        || holder == null
        || !residency.isBound(lease.binding())
        || lease.range().end() > residency.space().units()) {
      decisions.askedBack(lease);
      return null;
    }
    LeaseLedger.Entry entry = ledger.adopt(lease, holder, state, nowNanos);
    long bytes = Long.bitCount(entry.live()) * unitAmount(residency);
    long parts = InFlight.parts(residency.space().shape(), Long.bitCount(entry.inFlight()));
    if (entry.live() != 0) {
      residency.leased();
      holders.use(holder).take(bytes, parts);
    }
    pool.adopt(bytes);
    inFlight.begun(parts);
    expected += Long.bitCount(entry.live()) * (double) lease.probability();
    forEach(lease, entry.live(), index -> residency.claimed(index, 1, true));
    forEach(lease, entry.live() & state.ready(), index -> residency.resident(index, 1, true));
    return null;
  }

  /// The stager no longer knows these leases.
  public void abandon(Collection<Long> leaseIds) {
    for (long id : leaseIds) {
      LeaseLedger.Entry entry = ledger.find(id);
      if (entry != null) {
        settle(ledger.abandon(entry, feedback));
      }
    }
  }

  private void settle(LeaseLedger.Progress progress) {
    Lease lease = progress.entry().lease();
    LeaseState news = progress.news();
    expected -= Long.bitCount(progress.ended()) * (double) lease.probability();
    Residency residency = residencies.require(lease);
    long parts = InFlight.parts(residency.space().shape(), progress.landed());
    long bytes = Long.bitCount(progress.ended()) * unitAmount(residency);
    inFlight.landed(parts);
    pool.release(bytes);
    Holder holder = progress.entry().holder();
    holder.give(bytes, parts);
    long arrived =
        progress.ready() | news.useful() | news.late() | news.redundant() | news.unobserved();
    forEach(lease, arrived, index -> residency.resident(index, 1, true));
    forEach(lease, progress.ended(), index -> residency.claimed(index, 1, false));
    forEach(lease, news.unused(), index -> residency.resident(index, 1, false));
    forEach(lease, news.failed(), residency::failed);
    if (progress.isLast()) {
      holders.drop(holder);
      residency.leaseEnded();
      residencies.forgetIfDone(residency);
    }
  }

  private interface IndexConsumer {
    void accept(long index);
  }

  private static void forEach(Lease lease, long bits, IndexConsumer consumer) {
    for (long left = bits; left != 0; left &= left - 1) {
      consumer.accept(lease.first() + Long.numberOfTrailingZeros(left));
    }
  }

  /// A guest demanded a unit: it is here, or comes by demand.
  public void demanded(int binding, long resource) {
    demanded++;
    Residency residency = residencies.of(Resource.space(resource), binding);
    // A guest may ask beyond the end; it is answered with an error, and nothing came.
    if (residency != null && Resource.index(resource) < residency.space().units()) {
      if (!residency.isResident(Resource.index(resource))) {
        came++;
        price.came(1);
      }
      if (residency.demanded(Resource.index(resource))) {
        price.regretted();
      }
    }
  }

  /// A guest gave a level up: whoever wants it again may have it staged again.
  public void released(int binding, long resource) {
    Residency residency = residencies.of(Resource.space(resource), binding);
    if (residency != null && Resource.index(resource) < residency.space().units()) {
      residency.resident(Resource.index(resource), 1, false);
    }
  }

  /// The tier says what it holds.
  public void resident(int space, BitSet units) {
    residencies.known(space).forEach(residency -> residency.replace(units));
  }

  /// Whether a unit is on this host, as far as is known.
  public boolean isResident(int binding, long resource) {
    Residency residency = residencies.of(Resource.space(resource), binding);
    return residency != null && residency.isResident(Resource.index(resource));
  }

  /// Units left the tier. What lies outside of the space was never here.
  public void evicted(int space, long first, int units) {
    for (Residency residency : residencies.known(space)) {
      long from = Math.max(0, first);
      long end = Math.min(first + units, residency.space().units());
      if (from < end) {
        residency.evicted(from, (int) (end - from));
      }
    }
  }

  /// Grants what waited while there is room: to the VM that holds least, what is due first of it,
  /// and in parts where the room does not suffice for a whole range. Drops what came by demand
  /// meanwhile, and what has waited beyond the horizon after its due time.
  public void admitWaiting(long nowNanos) {
    dropStale(nowNanos);
    for (Wanted next = nextInTurn(); next != null; next = nextInTurn()) {
      Residency residency = residencyOf(next);
      int room = Math.min(COALESCED_UNITS, affordable(residency, next.holder()));
      if (room <= 0) {
        return;
      }
      waiting.remove(next);
      overflowing = false;
      noLongerWaits(next);
      admit(next, room, residency, nowNanos);
    }
  }

  private void dropStale(long nowNanos) {
    for (Wanted stale : waiting.removeDueBefore(nowNanos - limits.horizon().toNanos())) {
      overflowing = false;
      noLongerWaits(stale);
      decisions.unavailable(stale.binding(), stale.range(), "stale");
    }
  }

  private @Nullable Wanted nextInTurn() {
    return waiting.next(this::mayHoldMore);
  }

  private void admit(Wanted wanted, int room, Residency residency, long nowNanos) {
    long end = wanted.range().end();
    long first = wanted.range().first();
    while (first < end && !residency.isOpen(first)) {
      first++;
    }
    long stop = first;
    while (stop < end && stop - first < room && residency.isOpen(stop)) {
      stop++;
    }
    if (stop > first) {
      grant(wanted.of(first, (int) (stop - first)), residency, nowNanos);
    }
    if (stop < end) {
      await(wanted.of(stop, (int) (end - stop)), residency);
    }
  }

  /// Asks back leases that stayed without demand for the whole period of their type, and more of
  /// them while ranges wait for room.
  public void askBackUnused(long nowNanos) {
    dropStale(nowNanos);
    List<Lease> unused = new ArrayList<>();
    for (LeaseLedger.Entry entry : ledger.live()) {
      long overdueNanos = overdueNanos(entry, nowNanos);
      // Most leases are younger than any period: these need no look at their type.
      if (overdueNanos > shortestPeriodNanos && overdueNanos > periodNanos(entry)) {
        askBack(entry, unused);
      }
    }
    if (pool.free() < limits.stagedBytes() / PRESSED_SHARE && nextInTurn() != null) {
      askBackForRoom(nowNanos, unused);
    }
    unused.forEach(decisions::askedBack);
  }

  /// Asks back leases that are overdue for longer than a range may wait, least benefit first, until
  /// enough is free or on its way back.
  private void askBackForRoom(long nowNanos, List<Lease> unused) {
    long free = pool.free();
    List<Overdue> candidates = new ArrayList<>();
    for (LeaseLedger.Entry entry : ledger.live()) {
      long bytes = Long.bitCount(entry.live()) * unitAmount(residencies.require(entry.lease()));
      long overdueNanos = overdueNanos(entry, nowNanos);
      if (entry.isReturning()) {
        free += bytes;
      } else if (overdueNanos > limits.horizon().toNanos() && bytes > 0 && entry.inFlight() == 0) {
        double left = 1 - overdueNanos / (double) periodNanos(entry);
        candidates.add(new Overdue(entry, bytes, entry.lease().probability() * left));
      }
    }
    candidates.sort(Comparator.comparingDouble(Overdue::benefit));
    for (Overdue each : candidates) {
      if (free >= limits.stagedBytes() / RELIEVED_SHARE) {
        return;
      }
      free += each.bytes();
      askBack(each.entry(), unused);
    }
  }

  private static long overdueNanos(LeaseLedger.Entry entry, long nowNanos) {
    return nowNanos - Math.max(entry.lease().dueNanos(), entry.grantedNanos());
  }

  private long periodNanos(LeaseLedger.Entry entry) {
    ResourceType type = residencies.require(entry.lease()).space().type();
    return limits.reclaimAfter(type).toNanos();
  }

  /// A lease whose demand did not come when it was due, and how likely it is to come yet: nothing
  /// of its probability is left when it will be asked back anyway.
  private record Overdue(LeaseLedger.Entry entry, long bytes, double benefit) {}

  private static void askBack(LeaseLedger.Entry entry, List<Lease> into) {
    if (LeaseLedger.askBack(entry)) {
      into.add(entry.lease());
    }
  }

  /// Lets units that failed be tried again, once they have rested: an origin that refuses at once
  /// would else be asked again at once.
  ///
  /// @return whether there were any
  public boolean retryFailed(long nowNanos) {
    boolean any = false;
    if (nowNanos - retriedNanos >= RETRY_NANOS) {
      retriedNanos = nowNanos;
      for (Residency residency : residencies.all()) {
        any |= residency.forgetFailed();
      }
    }
    return any;
  }

  /// Calls off what is in flight or waits for bindings.
  public void callOff(List<Binding> bindings) {
    Set<Integer> theirs = bindings.stream().map(Binding::id).collect(Collectors.toSet());
    for (LeaseLedger.Entry entry : List.copyOf(ledger.live())) {
      if (theirs.contains(entry.lease().binding()) && entry.inFlight() != 0) {
        decisions.calledOff(entry.lease());
      }
    }
    waiting.removeIf(wanted -> theirs.contains(wanted.binding().id())).forEach(this::noLongerWaits);
  }

  /// Whose turn it is when not all that wait for units in flight to land can have what they want:
  /// the VM of which least is on its way, within the program and the tenant of which that is so.
  public Comparator<Binding> turns() {
    return Comparator.comparing(
        binding -> holders.ofBinding(binding.id()), Comparator.nullsFirst(Holder::compareInFlight));
  }

  /// How far the units of a forecast are, for the bindings of a VM.
  public Standing standing(List<Binding> bindings, Forecast forecast) {
    return survey.standing(bindings, forecast);
  }

  Holders holders() {
    return holders;
  }

  /// The account.
  public LeaseLedger ledger() {
    return ledger;
  }

  /// How many ranges wait for capacity.
  public int waitingRanges() {
    return waiting.size();
  }

  /// Units granted and neither ready nor ended; sixteen pages count as one.
  public int inFlightUnits() {
    return inFlight.units();
  }

  /// Bytes held by live leases.
  public long stagedBytes() {
    return pool.reserved();
  }
}
