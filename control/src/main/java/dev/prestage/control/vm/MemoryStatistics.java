package dev.prestage.control.vm;

/// A guest's memory.
///
/// @param grantedBytes what it has
/// @param residentBytes what of it the host holds; -1 if that is not said
/// @param unusedBytes what its system does not use; -1 if that is not said
public record MemoryStatistics(long grantedBytes, long residentBytes, long unusedBytes) {}
