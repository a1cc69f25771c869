package dev.prestage.engine.resource;

/// A numbered row of units of one type: an image, a snapshot, the connections to an endpoint, a
/// meter.
///
/// @param id the host's number for it, the upper bits of [Resource]
/// @param type what its units are
/// @param tenant whose it is; bytes, models and statistics are shared within a tenant only
/// @param name its readable name within type and tenant, such as the image's name
/// @param shape how it is divided
public record Space(int id, ResourceType type, String tenant, String name, Shape shape) {
  /// How many units the space holds.
  public long units() {
    return shape.units();
  }
}
