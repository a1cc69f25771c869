package dev.prestage.simulator.trace;

import java.io.IOException;
import java.util.List;

/// One way in which accesses are written down. A new one is a class and a line in [TraceFiles].
///
/// Formats are stateless.
interface TraceFormat {
  /// What a user calls it, such as `vscsi`.
  String name();

  /// What it is, in one line of a help page.
  String summary();

  /// The file names' ends that say that a file has this format, in lower case and with the dot.
  default List<String> suffixes() {
    return List.of("." + name());
  }

  /// Whether a file that begins so has this format. May say no when in doubt.
  boolean recognises(Head head);

  /// Reads all of a file.
  ///
  /// @throws TraceException if it is malformed
  Trace read(Source source) throws IOException;
}
