package dev.prestage.engine.allocate;

/// How far the units of a forecast are.
///
/// @param wanted units at or above the threshold
/// @param wantedAmount their amount
/// @param probability that one of them is touched, on average; 0 without any
/// @param resident of these, on this host
/// @param residentAmount the amount of these that are on this host
/// @param leased of these, on their way
/// @param waiting of these, waiting for capacity
public record Standing(
    int wanted,
    long wantedAmount,
    double probability,
    int resident,
    long residentAmount,
    int leased,
    int waiting) {
  /// Whether nothing more will happen to them by itself.
  public boolean isSettled() {
    return leased == 0 && waiting == 0;
  }
}
