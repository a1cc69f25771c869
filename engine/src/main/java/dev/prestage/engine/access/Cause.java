package dev.prestage.engine.access;

/// Who wanted an access. Only [#DEMAND] trains a model.
public enum Cause {
  /// The guest.
  DEMAND,
  /// A plan of ours.
  PREFETCH,
  /// The guest's or a peer's read-ahead, where it can be told apart.
  READAHEAD,
  /// Scrubbing, migration and the like.
  MAINTENANCE
}
