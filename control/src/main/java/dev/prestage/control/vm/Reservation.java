package dev.prestage.control.vm;

/// What of its host a guest is promised, whether or not it uses it.
///
/// @param cpuMhz zero: what is promised of the processors is left as it is
public record Reservation(long memoryMib, long cpuMhz) {
  public Reservation {
    if (memoryMib < 0 || cpuMhz < 0) {
      throw new IllegalArgumentException("a reservation is negative");
    }
  }
}
