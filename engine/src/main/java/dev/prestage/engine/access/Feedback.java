package dev.prestage.engine.access;

/// Hears how staging ended: whoever forecast, planned, keeps history or watches over health.
@FunctionalInterface
public interface Feedback {
  /// Units of a lease ended. Each unit of a lease is told once.
  ///
  /// @param lease whose units they are, with what was forecast of them
  /// @param units which ones: bit `i` is unit `first + i` of the lease's range; never 0
  /// @param how how they ended, all alike
  /// @param leadNanos how long useful units waited between ready and demand, on average; else 0
  void ended(Lease lease, long units, Outcome how, long leadNanos);

  /// Tells both.
  default Feedback and(Feedback other) {
    return (lease, units, how, leadNanos) -> {
      ended(lease, units, how, leadNanos);
      other.ended(lease, units, how, leadNanos);
    };
  }
}
