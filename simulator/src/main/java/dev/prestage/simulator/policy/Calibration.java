package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Reliability;
import java.util.ArrayList;
import java.util.List;

/// Whether a forecaster's probabilities come true: among forecasts of 0.8, eight in ten should.
///
/// Judged is each opinion of at least [Reliability#LEAST] that the forecaster formed, staged or
/// not, when it is known what came of it. Beside the expected calibration error stand the
/// logarithmic loss and the Brier skill, so that a flood of small probabilities cannot hide an
/// error.
public final class Calibration {
  private Calibration() {}

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

  /// The judgement of all opinions; all zero if there were none.
  static Summary of(Reliability opinions) {
    long all = 0;
    long allTrue = 0;
    double ece = 0;
    List<Bin> bins = new ArrayList<>();
    for (int bin = 0; bin < Reliability.BINS; bin++) {
      long count = opinions.count(bin);
      if (count > 0) {
        all += count;
        allTrue += opinions.cameTrue(bin);
        ece += Math.abs(opinions.probability(bin) - opinions.cameTrue(bin));
        bins.add(
            new Bin(
                (double) bin / Reliability.BINS,
                (bin + 1.0) / Reliability.BINS,
                count,
                opinions.probability(bin) / count,
                (double) opinions.cameTrue(bin) / count));
      }
    }
    if (all == 0) {
      return new Summary(0, 0, 0, List.of());
    }
    double baseRate = (double) allTrue / all;
    double baseError = all * baseRate * (1 - baseRate);
    double skill = baseError == 0 ? 0 : 1 - opinions.squaredError() / baseError;
    return new Summary(ece / all, opinions.logLoss() / all, skill, bins);
  }
}
