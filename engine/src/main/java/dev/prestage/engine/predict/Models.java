package dev.prestage.engine.predict;

import dev.prestage.engine.resource.Program;

/// The forecasters of a host's programs.
public interface Models {
  /// The forecaster of a program; a new one, which knows nothing, where none was learnt.
  Forecaster of(Program program);

  /// A run was learnt: the forecaster is worth keeping.
  void learnt(Program program);
}
