package dev.prestage.engine.resource;

/// Neighbouring units of one space.
///
/// @param space the space, by [Space#id]
/// @param first the first unit
/// @param units how many; at least 1
public record Range(int space, long first, int units) {
  public Range {
    if (units < 1 || first < 0) {
      throw new IllegalArgumentException("no range of " + units + " units from " + first);
    }
  }

  /// The unit behind the last one.
  public long end() {
    return first + units;
  }
}
