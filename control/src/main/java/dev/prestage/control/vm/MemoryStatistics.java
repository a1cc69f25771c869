package dev.prestage.control.vm;

/// A guest's memory.
///
/// @param grantedBytes what it has
/// @param residentBytes what of it the host holds; -1 if that is not said
/// @param unusedBytes what its system could give away without harm, caches among it; -1 if that is
///   not said, or was said too long ago
/// @param swappedInBytes what it has read back from its swap since its start; -1 if that is not
///   said
/// @param ageNanos how long ago at most its system said that; what it has may have changed since
public record MemoryStatistics(
    long grantedBytes, long residentBytes, long unusedBytes, long swappedInBytes, long ageNanos) {

  /// Of a guest that does not say what it swaps, and says the rest now.
  public MemoryStatistics(long grantedBytes, long residentBytes, long unusedBytes) {
    this(grantedBytes, residentBytes, unusedBytes, -1, 0);
  }

  /// What its system needs, where it says what it does not.
  public long usedBytes() {
    return grantedBytes - unusedBytes;
  }
}
