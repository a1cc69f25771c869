package dev.prestage.engine.allocate;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Range;
import java.util.ArrayList;
import java.util.List;

/// What a planner decided, in order.
final class Recorded implements Decisions {
  final List<Lease> granted = new ArrayList<>();
  final List<Lease> askedBack = new ArrayList<>();
  final List<Lease> calledOff = new ArrayList<>();

  /// The binding, a range's first unit, and why it cannot be had.
  final List<String> unavailable = new ArrayList<>();

  final List<Integer> queued = new ArrayList<>();

  @Override
  public void granted(Lease lease) {
    granted.add(lease);
  }

  @Override
  public void askedBack(Lease lease) {
    askedBack.add(lease);
  }

  @Override
  public void calledOff(Lease lease) {
    calledOff.add(lease);
  }

  @Override
  public void unavailable(Binding binding, Range range, String reason) {
    unavailable.add(binding.id() + " " + range.first() + " " + reason);
  }

  @Override
  public void queued(Binding binding, Range range, int depth) {
    queued.add(range.units());
  }

  List<Integer> bindings() {
    return granted.stream().map(Lease::binding).toList();
  }
}
