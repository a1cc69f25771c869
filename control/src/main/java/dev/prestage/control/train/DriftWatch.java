package dev.prestage.control.train;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// Whether one program's starts are foreseen worse than they used to be: the losses of its last
/// three runs against those of the runs before, each said before the run was learnt
/// ([dev.prestage.engine.predict.HybridForecaster#lastLoss]).
///
/// A program drifts when each of the three is worse than the median before by .15 at least and by
/// three standard deviations of the runs before, estimated from their median distance from it: one
/// odd run, which the runs behind it suffer from a little, neither is a drift nor hides one. A
/// program that was never foreseen well does not drift. Then two more runs are awaited, which no
/// challenger has been made of; they decide. After that all begins anew, so that one change is one
/// drift (hysteresis): the next needs eight more runs.
///
/// Not thread-safe.
final class DriftWatch {
  /// As many runs in a row say that it is no chance.
  static final int RECENT = 3;

  /// As many runs say what is usual.
  static final int LEAST_BEFORE = 5;

  /// As many runs compare a challenger with what serves.
  static final int TRIAL = 2;

  private static final int MOST_BEFORE = 32;
  private static final double LEAST_RISE = .15;
  private static final double DEVIATIONS = 3;

  /// What the median distance from the median is to a standard deviation, of normal losses.
  private static final double DEVIATION_OF_MEDIAN = 1.4826;

  private final List<Ended> runs = new ArrayList<>();
  private @Nullable Drift drift;

  private record Ended(double loss, long nanos) {}

  /// Runs are foreseen worse.
  ///
  /// @param before the median loss of the runs before
  /// @param now that of the last ones
  /// @param sinceNanos when the last run before ended
  record Drift(double before, double now, long sinceNanos) {
    /// One line about it.
    String line() {
      return String.format(
          Locale.ROOT, "its starts are foreseen worse: loss %.2f after %.2f", now, before);
    }
  }

  /// It is time to decide.
  ///
  /// @param champion the mean loss of what serves in the runs of the trial
  record Decision(Drift drift, double champion) {}

  /// What a run's end means.
  ///
  /// @param began a drift that begins with this run, or null
  /// @param decision a drift whose trial is over, or null
  record Event(@Nullable Drift began, @Nullable Decision decision) {
    private static final Event NONE = new Event(null, null);
  }

  /// A run ended.
  ///
  /// @param loss of its forecast, or NaN if there was none
  Event ended(double loss, long nanos) {
    if (Double.isNaN(loss)) {
      return Event.NONE;
    }
    runs.add(new Ended(loss, nanos));
    Drift going = drift;
    if (going != null) {
      if (runs.size() < TRIAL) {
        return Event.NONE;
      }
      double champion = meanLoss(runs);
      runs.clear();
      drift = null;
      return new Event(null, new Decision(going, champion));
    }
    if (runs.size() > MOST_BEFORE + RECENT) {
      runs.removeFirst();
    }
    Drift begun = look();
    if (begun == null) {
      return Event.NONE;
    }
    drift = begun;
    runs.clear();
    return new Event(begun, null);
  }

  private @Nullable Drift look() {
    int usual = runs.size() - RECENT;
    if (usual < LEAST_BEFORE) {
      return null;
    }
    List<Ended> before = runs.subList(0, usual);
    List<Ended> recent = runs.subList(usual, runs.size());
    double usually = median(before.stream().map(Ended::loss).toList());
    double spread = median(before.stream().map(run -> Math.abs(run.loss() - usually)).toList());
    double rise = Math.max(LEAST_RISE, DEVIATIONS * DEVIATION_OF_MEDIAN * spread);
    boolean allWorse = recent.stream().allMatch(run -> run.loss() - usually >= rise);
    return allWorse ? new Drift(usually, meanLoss(recent), before.getLast().nanos()) : null;
  }

  private static double meanLoss(List<Ended> of) {
    return mean(of.stream().map(Ended::loss).toList());
  }

  private static double median(List<Double> of) {
    return of.stream().sorted().toList().get(of.size() / 2);
  }

  static double mean(List<Double> losses) {
    return losses.stream().mapToDouble(Double::doubleValue).average().orElse(Double.NaN);
  }
}
