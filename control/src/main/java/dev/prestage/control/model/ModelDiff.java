package dev.prestage.control.model;

import dev.prestage.control.command.Reply;
import dev.prestage.engine.predict.Forecast;
import dev.prestage.engine.predict.HostKnowledge;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.ModelException;
import dev.prestage.engine.predict.ModelFile;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/// What two models of a program differ in: what each expects a start to touch, and how likely. The
/// Markov tables and the weights of networks are not compared, because no difference of theirs says
/// anything to people.
public final class ModelDiff {
  /// What is less likely is not staged from a launch profile.
  private static final double EXPECTED = .1;

  private static final int MOST_CHANGES = 10;

  private final Spaces spaces;

  private ModelDiff(Spaces spaces) {
    this.spaces = spaces;
  }

  /// Compares two models, type by type.
  ///
  /// @param from as [ModelBundle] has it
  /// @throws ModelException with the reason if one of the two cannot be used
  public static List<Reply.ModelTypeDiff> of(ByteBuffer from, ByteBuffer to) throws ModelException {
    ModelBundle.Numbers spaces = new ModelBundle.Numbers();
    ModelBundle one = ModelBundle.decode(from, spaces, (_, _) -> new HostKnowledge());
    ModelBundle other = ModelBundle.decode(to, spaces, (_, _) -> new HostKnowledge());
    Set<ResourceType> types = new TreeSet<>(one.models().keySet());
    types.addAll(other.models().keySet());
    ModelDiff diff = new ModelDiff(spaces);
    return types.stream()
        .map(type -> diff.of(type, forecaster(one, type), forecaster(other, type)))
        .toList();
  }

  /// One that knows nothing stands for a type that is not there.
  private static HybridForecaster forecaster(ModelBundle bundle, ResourceType type) {
    ModelFile model = bundle.models().get(type);
    return model == null ? new HybridForecaster() : model.forecaster();
  }

  private Reply.ModelTypeDiff of(ResourceType type, HybridForecaster from, HybridForecaster to) {
    Map<Long, Double> before = expected(from);
    Map<Long, Double> after = expected(to);
    Set<Long> either = new TreeSet<>(before.keySet());
    either.addAll(after.keySet());
    int both = before.size() + after.size() - either.size();
    return new Reply.ModelTypeDiff(
        type.text(),
        from.runs(),
        to.runs(),
        from.network() != null,
        to.network() != null,
        gain(from),
        gain(to),
        before.size(),
        after.size(),
        both,
        either.isEmpty() ? 1 : (double) both / either.size(),
        changes(likely(from, 0), likely(to, 0)));
  }

  private static @Nullable Double gain(HybridForecaster of) {
    double gain = of.networkGain();
    return Double.isNaN(gain) ? null : gain;
  }

  private static Map<Long, Double> expected(HybridForecaster of) {
    return likely(of, EXPECTED);
  }

  /// The units that a start is expected to touch, with their probabilities.
  private static Map<Long, Double> likely(HybridForecaster of, double least) {
    Forecast forecast = new Forecast();
    of.start(0, 0).forecast(0, Long.MAX_VALUE, forecast);
    Map<Long, Double> units = new HashMap<>();
    for (int row = 0; row < forecast.size(); row++) {
      if (forecast.probability(row) >= least) {
        units.put(forecast.resource(row), forecast.probability(row));
      }
    }
    return units;
  }

  /// The largest changes, and of equal ones those of the first units.
  private List<Reply.ModelChange> changes(Map<Long, Double> before, Map<Long, Double> after) {
    Set<Long> either = new TreeSet<>(before.keySet());
    either.addAll(after.keySet());
    List<Reply.ModelChange> changes = new ArrayList<>();
    for (long unit : either) {
      double from = before.getOrDefault(unit, 0.0);
      double to = after.getOrDefault(unit, 0.0);
      if (from != to) {
        Spaces.Name space = spaces.name(Resource.space(unit));
        changes.add(
            new Reply.ModelChange(
                space.type().text() + ":" + space.name() + "/" + Resource.index(unit), from, to));
      }
    }
    changes.sort(Comparator.comparingDouble(change -> -Math.abs(change.to() - change.from())));
    return List.copyOf(changes.subList(0, Math.min(MOST_CHANGES, changes.size())));
  }
}
