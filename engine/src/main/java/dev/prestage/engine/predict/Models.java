package dev.prestage.engine.predict;

import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.ResourceType;

/// The forecasters of a host's programs.
public interface Models {
  /// The forecaster of a program for one type of resource; a new one, which knows nothing, where
  /// none was learnt.
  Forecaster of(Program program, ResourceType type);

  /// A run was learnt: the forecaster is worth keeping.
  void learnt(Program program, ResourceType type);
}
