package dev.prestage.simulator.cache;

/// A replacement policy: a cache of pages that is filled by demand alone.
public interface PageCache {
  /// Demands a page; after this it may or may not be here, as the policy decides.
  ///
  /// @return whether it was here
  boolean access(long page);
}
