package dev.prestage.engine.allocate;

import dev.prestage.engine.access.Feedback;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The account of every unit ever granted. Granted = ended + live holds after each call, and is
/// asserted.
public final class LeaseLedger {
  private final Map<Long, Entry> live = new LinkedHashMap<>();
  private long granted;
  private long liveUnits;
  private long useful;
  private long late;
  private long unused;
  private long redundant;
  private long failed;
  private long cancelled;
  private long unobserved;

  /// Totals in units; `granted` is `live` plus all the others.
  public record Totals(
      long granted,
      long live,
      long useful,
      long late,
      long unused,
      long redundant,
      long failed,
      long cancelled,
      long unobserved) {
    /// Units by how they ended, each outcome under its name.
    public Map<String, Long> outcomes() {
      Map<String, Long> outcomes = new LinkedHashMap<>();
      outcomes.put("useful", useful);
      outcomes.put("late", late);
      outcomes.put("unused", unused);
      outcomes.put("redundant", redundant);
      outcomes.put("failed", failed);
      outcomes.put("cancelled", cancelled);
      outcomes.put("unobserved", unobserved);
      return outcomes;
    }
  }

  /// A live lease and what is known of it.
  public static final class Entry {
    private final Lease lease;
    private final Holder holder;
    private final long grantedNanos;
    private final long mask;
    private LeaseState state;
    private boolean returning;

    private Entry(Lease lease, Holder holder, LeaseState state, long grantedNanos) {
      this.lease = lease;
      this.holder = holder;
      this.state = state;
      this.mask = lease.mask() & ~state.ended();
      this.grantedNanos = grantedNanos;
    }

    /// The lease.
    public Lease lease() {
      return lease;
    }

    /// The VM for which it was granted.
    Holder holder() {
      return holder;
    }

    /// The last known state.
    public LeaseState state() {
      return state;
    }

    /// When it was granted, nanoseconds since the epoch.
    public long grantedNanos() {
      return grantedNanos;
    }

    /// Whether it was asked back.
    boolean isReturning() {
      return returning;
    }

    /// The units that have not ended.
    public long live() {
      return mask & ~state.ended();
    }

    /// The units that are on their way: neither ready nor ended.
    public long inFlight() {
      return live() & ~state.ready();
    }
  }

  /// What a report changed.
  ///
  /// @param landed how many units are no longer on their way
  /// @param ready units that became ready, as bits
  /// @param news the outcomes of the units that ended now
  /// @param lost units that ended because the stager no longer knows them
  public record Progress(Entry entry, int landed, long ready, LeaseState news, long lost) {
    Progress(Entry entry, int landed, long ready, LeaseState news) {
      this(entry, landed, ready, news, 0);
    }

    /// The units that ended.
    public long ended() {
      return news.ended() | lost;
    }

    /// Whether the lease ended with them.
    boolean isLast() {
      return lost != 0 || entry.live() == 0;
    }
  }

  Entry grant(Lease lease, Holder holder, long nowNanos) {
    return open(lease, holder, LeaseState.granted(lease.id()), nowNanos);
  }

  /// Takes over a lease that the data plane still holds. What ended before is not in this account.
  Entry adopt(Lease lease, Holder holder, LeaseState state, long nowNanos) {
    return open(lease, holder, state, nowNanos);
  }

  private Entry open(Lease lease, Holder holder, LeaseState state, long nowNanos) {
    Entry entry = new Entry(lease, holder, state, nowNanos);
    if (live.putIfAbsent(lease.id(), entry) != null) {
      throw new IllegalStateException("lease " + lease.id() + " is live already");
    }
    int units = Long.bitCount(entry.mask);
    granted += units;
    liveUnits += units;
    if (entry.live() == 0) {
      live.remove(lease.id());
    }
    check();
    return entry;
  }

  /// Books what a report says that is not known yet; a unit that ended stays as it ended, so a
  /// repeated or an old report changes nothing. `feedback` hears it, once per outcome.
  ///
  /// @return what is new, or null if the lease is not live
  @Nullable Progress book(LeaseState next, Feedback feedback) {
    Entry entry = live.get(next.leaseId());
    if (entry == null) {
      return null;
    }
    if (!next.isConsistent()) {
      throw new IllegalStateException("a report has a unit in two outcomes: " + next);
    }
    LeaseState last = entry.state;
    int inFlight = count(entry.inFlight());
    LeaseState news = next.of(entry.live());
    useful += count(news.useful());
    late += count(news.late());
    unused += count(news.unused());
    redundant += count(news.redundant());
    failed += count(news.failed());
    cancelled += count(news.cancelled());
    unobserved += count(news.unobserved());
    liveUnits -= count(news.ended());
    entry.state = last.plus(news);
    if (entry.live() == 0) {
      live.remove(next.leaseId());
    }
    check();
    tellAll(entry.lease, news, Math.max(0, next.leadNanos() - last.leadNanos()), feedback);
    return new Progress(
        entry, inFlight - count(entry.inFlight()), news.ready() & ~last.ready(), news);
  }

  private static void tellAll(Lease lease, LeaseState news, long leadNanos, Feedback feedback) {
    if (news.useful() != 0) {
      long lead = leadNanos / count(news.useful());
      feedback.ended(lease, news.useful(), Outcome.USEFUL, lead);
    }
    tell(lease, news.late(), Outcome.LATE, feedback);
    tell(lease, news.unused(), Outcome.UNUSED, feedback);
    tell(lease, news.redundant(), Outcome.REDUNDANT, feedback);
    tell(lease, news.failed(), Outcome.FAILED, feedback);
    tell(lease, news.cancelled(), Outcome.CANCELLED, feedback);
    tell(lease, news.unobserved(), Outcome.UNOBSERVED, feedback);
  }

  /// Ends a lease whose stager no longer knows it. What was never ready ends as cancelled; what was
  /// ready ends as unobserved, because nobody will see its use.
  Progress abandon(Entry entry, Feedback feedback) {
    long id = entry.lease.id();
    long inFlight = entry.inFlight();
    long ready = entry.live() & ~inFlight;
    live.remove(id);
    cancelled += count(inFlight);
    unobserved += count(ready);
    liveUnits -= count(inFlight | ready);
    check();
    tell(entry.lease, inFlight, Outcome.CANCELLED, feedback);
    tell(entry.lease, ready, Outcome.UNOBSERVED, feedback);
    return new Progress(entry, count(inFlight), 0, LeaseState.granted(id), inFlight | ready);
  }

  @Nullable Entry find(long leaseId) {
    return live.get(leaseId);
  }

  /// Live leases, oldest first.
  public Collection<Entry> live() {
    return Collections.unmodifiableCollection(live.values());
  }

  /// The totals so far.
  public Totals totals() {
    return new Totals(
        granted, liveUnits, useful, late, unused, redundant, failed, cancelled, unobserved);
  }

  /// Marks a lease as asked back, once.
  ///
  /// @return whether it was not asked back before
  static boolean askBack(Entry entry) {
    boolean first = !entry.returning;
    entry.returning = true;
    return first;
  }

  /// The stager holds a lease still: what it was asked may never have come to it.
  static void heldStill(Entry entry) {
    entry.returning = false;
  }

  /// Units that were staged in vain, or still may turn out to be: a budget that counts these is
  /// kept whatever comes.
  long uselessAtWorst() {
    return granted - useful - redundant - failed - cancelled;
  }

  private void check() {
    long ended = useful + late + unused + redundant + failed + cancelled + unobserved;
    if (granted != ended + liveUnits) {
      throw new IllegalStateException(
          "granted " + granted + " units, but " + ended + " ended and " + liveUnits + " live");
    }
  }

  private static int count(long bits) {
    return Long.bitCount(bits);
  }

  private static void tell(Lease lease, long units, Outcome how, Feedback feedback) {
    if (units != 0) {
      feedback.ended(lease, units, how, 0);
    }
  }
}
