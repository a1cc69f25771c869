package dev.prestage.simulator.policy;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.Lease;
import dev.prestage.engine.access.Outcome;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.Forecaster;
import it.unimi.dsi.fastutil.floats.FloatArrayList;
import it.unimi.dsi.fastutil.longs.Long2LongOpenHashMap;
import it.unimi.dsi.fastutil.longs.LongArrayList;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/// Whether a forecaster's probabilities come true: among forecasts of 0.8, eight in ten should.
///
/// It stands between forecaster and engine and keeps each candidate of at least [#LEAST] until its
/// horizon has passed or its run has ended. Beside the expected calibration error stand the
/// logarithmic loss and the Brier skill, so that a flood of small probabilities cannot hide an
/// error.
public final class Calibration {
  /// Candidates below this are not judged.
  public static final double LEAST = 0.05;

  private static final int BINS = 33;

  /// The loss of a certainty that was wrong stays finite.
  private static final double CERTAIN = 1e-6;

  private final long[] count = new long[BINS];
  private final double[] probability = new double[BINS];
  private final long[] cameTrue = new long[BINS];
  private double logLoss;
  private double squaredError;

  /// One bin of equal width.
  ///
  /// @param count how many candidates fell into it
  /// @param probability what they were forecast with, on average
  /// @param observed the share of them that came true
  public record Bin(double from, double to, long count, double probability, double observed) {}

  /// The judgement.
  ///
  /// @param ece expected calibration error over the bins, weighted by count
  /// @param logLoss mean logarithmic loss, natural logarithm
  /// @param brierSkill 1 less the Brier score's share of that of a forecast that always says the
  ///   base rate; 1 is perfect, 0 no better than the base rate
  /// @param bins those that are not empty
  public record Summary(double ece, double logLoss, double brierSkill, List<Bin> bins) {}

  /// The same forecaster, watched.
  Forecaster watch(Forecaster forecaster) {
    return new Forecaster() {
      @Override
      public Cursor start(int vm, long nowNanos) {
        return new Watched(forecaster.start(vm, nowNanos));
      }

      @Override
      public void ended(Lease lease, long units, Outcome how) {
        forecaster.ended(lease, units, how);
      }
    };
  }

  /// The judgement of all candidates so far; all zero if there were none.
  public Summary summary() {
    long all = 0;
    long allTrue = 0;
    double ece = 0;
    List<Bin> bins = new ArrayList<>();
    for (int bin = 0; bin < BINS; bin++) {
      if (count[bin] > 0) {
        all += count[bin];
        allTrue += cameTrue[bin];
        ece += Math.abs(probability[bin] - cameTrue[bin]);
        bins.add(
            new Bin(
                (double) bin / BINS,
                (bin + 1.0) / BINS,
                count[bin],
                probability[bin] / count[bin],
                (double) cameTrue[bin] / count[bin]));
      }
    }
    if (all == 0) {
      return new Summary(0, 0, 0, List.of());
    }
    double baseRate = (double) allTrue / all;
    double baseError = all * baseRate * (1 - baseRate);
    double skill = baseError == 0 ? 0 : 1 - squaredError / baseError;
    return new Summary(ece / all, logLoss / all, skill, bins);
  }

  private void judge(double forecast, boolean came) {
    int bin = Math.min(BINS - 1, (int) (forecast * BINS));
    count[bin]++;
    probability[bin] += forecast;
    cameTrue[bin] += came ? 1 : 0;
    double right = came ? forecast : 1 - forecast;
    logLoss -= Math.log(Math.clamp(right, CERTAIN, 1));
    squaredError += (1 - right) * (1 - right);
  }

  /// One forecast, until it is known what came of it.
  private static final class Pending {
    final long touchesBefore;
    final long untilNanos;
    final LongArrayList resources = new LongArrayList();
    final FloatArrayList probabilities = new FloatArrayList();

    Pending(long touchesBefore, long untilNanos) {
      this.touchesBefore = touchesBefore;
      this.untilNanos = untilNanos;
    }
  }

  private final class Watched implements Forecaster.Cursor {
    private final Forecaster.Cursor cursor;
    // By number and not by time: a touch may come in the same nanosecond, before or after.
    private final Long2LongOpenHashMap lastTouch = new Long2LongOpenHashMap();
    private final Deque<Pending> pending = new ArrayDeque<>();
    private long touches;

    private Watched(Forecaster.Cursor cursor) {
      this.cursor = cursor;
      lastTouch.defaultReturnValue(-1);
    }

    @Override
    public void observe(Access access) {
      judgeThose(access.timeNanos());
      lastTouch.put(access.resource(), touches++);
      cursor.observe(access);
    }

    @Override
    public void forecast(long nowNanos, long horizonNanos, Forecast into) {
      cursor.forecast(nowNanos, horizonNanos, into);
      Pending judged = new Pending(touches, nowNanos + horizonNanos);
      for (int row = 0; row < into.size(); row++) {
        if (into.probability(row) >= LEAST) {
          judged.resources.add(into.resource(row));
          judged.probabilities.add((float) into.probability(row));
        }
      }
      if (!judged.resources.isEmpty()) {
        pending.add(judged);
      }
    }

    @Override
    public void next(long nowNanos, Forecast into) {
      cursor.next(nowNanos, into);
    }

    @Override
    public void stop(long nowNanos) {
      judgeThose(Long.MAX_VALUE);
      cursor.stop(nowNanos);
    }

    private void judgeThose(long dueNanos) {
      for (Pending head = pending.peek();
          head != null && head.untilNanos < dueNanos;
          head = pending.peek()) {
        pending.remove();
        for (int i = 0; i < head.resources.size(); i++) {
          long touched = lastTouch.get(head.resources.getLong(i));
          judge(head.probabilities.getFloat(i), touched >= head.touchesBefore);
        }
      }
    }
  }
}
