package dev.prestage.engine.allocate;

import dev.prestage.engine.access.Lease;
import dev.prestage.engine.resource.Binding;
import dev.prestage.engine.resource.Range;

/// What a [Planner] decides, carried out by whoever wires it.
public interface Decisions {
  /// A lease begins: stage it.
  void granted(Lease lease);

  /// What a lease has ready and nobody demanded shall be given back.
  void askedBack(Lease lease);

  /// What a lease has not moved yet shall not be moved.
  void calledOff(Lease lease);

  /// A forecast range cannot be had now.
  ///
  /// @param reason one word: `capacity`, no room; `quota`, there is room, but the VM, its program
  ///   or its tenant is at its quota; `stale`, it waited too long
  void unavailable(Binding binding, Range range, String reason);

  /// An unavailable range waits for capacity.
  ///
  /// @param depth how many ranges wait
  void queued(Binding binding, Range range, int depth);
}
