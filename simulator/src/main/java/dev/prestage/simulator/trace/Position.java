package dev.prestage.simulator.trace;

/// Where in a file we are, for messages.
interface Position {
  /// What to throw for what is wrong here.
  ///
  /// @param what is wrong and what was expected, without the file and the place
  TraceException wrong(String what);

  /// The place alone, such as `line 7`.
  String place();
}
