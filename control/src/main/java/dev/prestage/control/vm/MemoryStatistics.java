package dev.prestage.control.vm;

/// A guest's memory.
///
/// @param grantedBytes what it has
/// @param residentBytes what of it the host holds; -1 if that is not said
/// @param unusedBytes what its system could give away without harm, caches among it; -1 if that is
///   not said, or was said too long ago
/// @param swappedInBytes what it has read back from its swap since its start; -1 if that is not
///   said
public record MemoryStatistics(
    long grantedBytes, long residentBytes, long unusedBytes, long swappedInBytes) {

  /// Of a guest that does not say what it swaps.
  public MemoryStatistics(long grantedBytes, long residentBytes, long unusedBytes) {
    this(grantedBytes, residentBytes, unusedBytes, -1);
  }

  /// What its system needs; all that it has if it does not say.
  public long usedBytes() {
    return grantedBytes - Math.max(0, unusedBytes);
  }
}
