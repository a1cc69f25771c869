package dev.prestage.engine.allocate;

import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Range;

/// A range that is to be staged, or waits for capacity.
record Wanted(
    Binding binding, Holder holder, Range range, float probability, int experts, long dueNanos) {
  Wanted of(long first, int units) {
    return new Wanted(
        binding, holder, new Range(range.space(), first, units), probability, experts, dueNanos);
  }
}
