package dev.prestage.engine.resource;

/// A numbered set of resources of one type: an image, a snapshot, a set of endpoints, a meter.
///
/// @param id the host's number for it, the upper bits of [Resource]
/// @param type what its resources are
/// @param tenant whose it is; bytes, models and statistics are shared within a tenant only
/// @param name its readable name within type and tenant, such as the image's name
/// @param unitBytes the size of one resource in bytes; the last one may be shorter
/// @param sizeBytes the size of the whole
public record Space(
    int id, ResourceType type, String tenant, String name, int unitBytes, long sizeBytes) {
  /// The extent size of disk images: 64 KiB. Larger wastes bytes of the origin on what is not
  /// touched, smaller multiplies the ids that a model must hold (64 KiB described all recorded
  /// starts with 3,253 ids, 4 KiB needed 43,133).
  public static final int EXTENT_BYTES = 64 * 1024;

  /// How many resources the space holds.
  public long units() {
    return (sizeBytes + unitBytes - 1) / unitBytes;
  }

  /// The size in bytes of `count` resources from `first` on; the space's end cuts it short.
  public long bytes(long first, int count) {
    long start = first * unitBytes;
    return Math.min((long) count * unitBytes, sizeBytes - start);
  }
}
