package dev.prestage.engine.allocate;

/// Where each unit of a lease stands, as its stager last saw it. Bit `i` of each word is unit
/// `first + i`.
///
/// States are cumulative: a later one repeats all that an earlier one said, so a lost, repeated or
/// re-sent report does no harm. The outcome words (`useful` to `unobserved`) are disjoint and only
/// ever gain bits; a lease has ended when together they cover its mask.
///
/// @param leaseId the lease
/// @param ready units that this lease made resident, whatever became of them afterwards
/// @param useful demand came after the unit was ready
/// @param late demand overtook the staging
/// @param unused given back without demand
/// @param redundant was resident before
/// @param failed the origin or the tier refused
/// @param cancelled called off before it was moved
/// @param unobserved ready where its use cannot be seen
/// @param leadNanos the time that the useful units waited between ready and demand, summed
public record LeaseState(
    long leaseId,
    long ready,
    long useful,
    long late,
    long unused,
    long redundant,
    long failed,
    long cancelled,
    long unobserved,
    long leadNanos) {

  /// A state of which no unit is ready where its use cannot be seen.
  public LeaseState(
      long leaseId,
      long ready,
      long useful,
      long late,
      long unused,
      long redundant,
      long failed,
      long cancelled,
      long leadNanos) {
    this(leaseId, ready, useful, late, unused, redundant, failed, cancelled, 0, leadNanos);
  }

  /// The state of a lease of which nothing was reported yet.
  public static LeaseState granted(long leaseId) {
    return new LeaseState(leaseId, 0, 0, 0, 0, 0, 0, 0, 0);
  }

  /// What this state says of some units only.
  LeaseState of(long units) {
    return new LeaseState(
        leaseId,
        ready & units,
        useful & units,
        late & units,
        unused & units,
        redundant & units,
        failed & units,
        cancelled & units,
        unobserved & units,
        leadNanos);
  }

  /// This state and what a report adds to it.
  LeaseState plus(LeaseState news) {
    return new LeaseState(
        leaseId,
        ready | news.ready,
        useful | news.useful,
        late | news.late,
        unused | news.unused,
        redundant | news.redundant,
        failed | news.failed,
        cancelled | news.cancelled,
        unobserved | news.unobserved,
        Math.max(leadNanos, news.leadNanos));
  }

  /// The units that have ended.
  public long ended() {
    return useful | late | unused | redundant | failed | cancelled | unobserved;
  }

  /// Whether each unit is in at most one outcome.
  public boolean isConsistent() {
    int sum =
        Long.bitCount(useful)
            + Long.bitCount(late)
            + Long.bitCount(unused)
            + Long.bitCount(redundant)
            + Long.bitCount(failed)
            + Long.bitCount(cancelled)
            + Long.bitCount(unobserved);
    return sum == Long.bitCount(ended());
  }
}
