package dev.prestage.engine.allocate;

import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Measure;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Shape;
import java.util.List;

/// From which probability on staging is worthwhile: as configured, or derived from what it costs.
final class Worth {
  private final Thresholds thresholds;
  private final Price price;
  private final Residencies residencies;

  Worth(Thresholds thresholds, Price price, Residencies residencies) {
    this.thresholds = thresholds;
    this.price = price;
    this.residencies = residencies;
  }

  /// The lowest threshold of the spaces at hand.
  ///
  /// @param bindings of one VM; those of other types are left alone
  /// @param load the share of the room in flight that is taken
  double threshold(List<Binding> bindings, ResourceType type, double load) {
    double fixed = thresholds.of(bindings.getFirst().vm().program(), type);
    return Thresholds.isAuto(fixed) ? cheapest(bindings, type, load) : fixed;
  }

  private double cheapest(List<Binding> bindings, ResourceType type, double load) {
    double least = 1;
    for (int i = 0; i < bindings.size(); i++) {
      Residency residency = residencies.of(bindings.get(i));
      if (bindings.get(i).space().type() == type && residency != null) {
        least = Math.min(least, derived(residency, load));
      }
    }
    return least;
  }

  /// The threshold for a binding that a VM manager asks for, which should not depend on what else
  /// is under way at that moment.
  double threshold(Binding binding) {
    double fixed = thresholds.of(binding.vm().program(), binding.space().type());
    Residency residency = residencies.of(binding);
    return Thresholds.isAuto(fixed) && residency != null ? derived(residency, 0) : fixed;
  }

  /// The threshold of a program, wherever its resources lie.
  double threshold(Program program, ResourceType type) {
    double fixed = thresholds.of(program, type);
    return Thresholds.isAuto(fixed) ? Thresholds.DEFAULT : fixed;
  }

  /// What `auto` stands for. Of what is not content, such as a connection that waits, no cost is
  /// measured: there it is the default.
  private double derived(Residency residency, double load) {
    Shape shape = residency.space().shape();
    return shape.measure() == Measure.BYTES
        ? price.threshold(shape.unitAmount(), residency.missNanos(), load)
        : Thresholds.DEFAULT;
  }
}
