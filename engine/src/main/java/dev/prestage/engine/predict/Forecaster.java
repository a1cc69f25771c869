package dev.prestage.engine.predict;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;

/// Predicts one program's accesses of one resource type. Statistics are shared by all copies of the
/// program; what belongs to a running copy is in its [Cursor].
public interface Forecaster {
  /// A copy starts.
  ///
  /// @param vm the VM that runs it
  /// @param nowNanos the start, nanoseconds since the epoch
  Cursor start(int vm, long nowNanos);

  /// Units that were staged because this forecaster spoke for them ended. By default nobody
  /// listens.
  ///
  /// @param units which ones: bit `i` is unit `first + i` of the lease's range
  default void ended(Lease lease, long units, Outcome how) {}

  /// What a host says of its units while it is asked what to stage.
  interface Open {
    /// All units are open, and nothing ever came.
    Open ALL =
        new Open() {
          @Override
          public boolean isOpen(long resource) {
            return true;
          }

          @Override
          public long came() {
            return 0;
          }
        };

    /// Whether a unit exists, is neither here nor on its way, and nothing was decided about it.
    boolean isOpen(long resource);

    /// How many units have come to the host or were sent for, ever.
    long came();
  }

  /// How far ahead of demand staging has to look.
  ///
  /// @param nanos from a decision until the unit is here
  /// @param heldUnits how many other units come before one that is not demanded has to leave
  record Lead(long nanos, int heldUnits) {}

  /// Where one copy stands in its run, with all of its bindings of the type.
  interface Cursor {
    /// The copy touched something. Called for demand only, in the order of demand.
    void observe(Access access);

    /// Something was staged for the copy where its touch cannot be seen, and counts as touched: a
    /// run of which all is staged would else be learnt as one that touched nothing.
    default void presumed(int binding, long resource) {}

    /// What was proposed may be lost, so it may be proposed again.
    default void again() {}

    /// The copy gave up what it had touched, and may touch it again.
    default void released(Access access) {}

    /// Adds what is most worth staging next: units that are open, each with at least the given
    /// probability of being worth it. What was proposed counts as staged until [Forecaster#ended]
    /// says otherwise, so a cursor need not propose it again.
    ///
    /// By default all of the forecast.
    ///
    /// @param open which units may be staged
    /// @param lead how far ahead it has to look
    /// @param least the probability from which on a unit is proposed
    /// @param most how many units may be proposed
    default void propose(
        Open open, Lead lead, long nowNanos, double least, int most, Forecast into) {
      forecast(nowNanos, Long.MAX_VALUE / 4, into);
    }

    /// Adds what the copy is expected to touch within the horizon. Asking changes nothing.
    ///
    /// @param nowNanos the time of the question
    /// @param horizonNanos how far to look ahead of now
    void forecast(long nowNanos, long horizonNanos, Forecast into);

    /// Adds what the very next touch may be, repeats of the last one aside; the probabilities add
    /// up to at most 1. Asking changes nothing.
    void next(long nowNanos, Forecast into);

    /// The run ends, and is learnt as a whole.
    void stop(long nowNanos);
  }
}
