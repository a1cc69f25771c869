package dev.prestage.engine.allocate;

import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import java.util.List;

/// What of a forecast is here. It decides nothing.
final class Survey {
  private final Worth worth;
  private final Price price;
  private final Residencies residencies;

  Survey(Worth worth, Price price, Residencies residencies) {
    this.worth = worth;
    this.price = price;
    this.residencies = residencies;
  }

  /// How much of a forecast of content is here.
  OnHost onHost(Program program, ResourceType type, Forecast forecast) {
    double least = worth.threshold(program, type);
    int units = 0;
    int here = 0;
    int unknown = 0;
    long bytes = 0;
    long bytesHere = 0;
    long missing = 0;
    long missNanos = 0;
    for (int row = 0; row < forecast.size(); row++) {
      int space = Resource.space(forecast.resource(row));
      long index = Resource.index(forecast.resource(row));
      Residency residency = residencies.of(space);
      if (forecast.probability(row) < least) {
        continue;
      }
      if (residency == null) {
        unknown++;
        missing += Shape.BLOCK_BYTES; // no unit of content is larger
        missNanos = Math.max(missNanos, Residency.FIRST_FETCH_NANOS);
      } else if (residency.space().shape().measure() == Measure.BYTES
          && index < residency.space().units()) {
        long amount = residency.space().shape().amount(index, 1);
        units++;
        bytes += amount;
        if (residency.isResident(index)) {
          here++;
          bytesHere += amount;
        } else {
          missing += amount;
          missNanos = Math.max(missNanos, residency.missNanos());
        }
      }
    }
    double seconds = missNanos / 1e9 + missing / price.bytesPerSecond();
    return new OnHost(units, here, bytes, bytesHere, unknown, seconds);
  }

  /// How far the units of a forecast are, for the bindings of a VM.
  Standing standing(List<Binding> bindings, Forecast forecast) {
    int wanted = 0;
    int resident = 0;
    int leased = 0;
    int waiting = 0;
    long wantedAmount = 0;
    long residentAmount = 0;
    double touched = 0;
    for (Binding binding : bindings) {
      Residency residency = residencies.of(binding);
      double threshold = worth.threshold(binding);
      for (int row = 0; row < forecast.size() && residency != null; row++) {
        long index = Resource.index(forecast.resource(row));
        if (forecast.probability(row) >= threshold
            && Resource.space(forecast.resource(row)) == residency.space().id()
            && index < residency.space().units()) {
          long amount = residency.space().shape().amount(index, 1);
          wanted++;
          wantedAmount += amount;
          touched += forecast.probability(row);
          if (residency.isResident(index)) {
            resident++;
            residentAmount += amount;
          } else if (residency.isClaimed(index)) {
            leased++;
          } else if (residency.isWaiting(index)) {
            waiting++;
          }
        }
      }
    }
    double probability = wanted == 0 ? 0 : touched / wanted;
    return new Standing(
        wanted, wantedAmount, probability, resident, residentAmount, leased, waiting);
  }
}
