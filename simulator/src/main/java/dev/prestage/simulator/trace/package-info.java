/// Recorded accesses and the formats they come in. A format knows neither policies nor reports.
///
/// [dev.prestage.simulator.trace.TraceFiles] reads a file: what it is compressed with and which
/// format it has are seen in its bytes where its name does not say. A new format is one class and
/// one line there. Whatever is wrong with a file is a [dev.prestage.simulator.trace.TraceException]
/// with the place and what was expected; a format repairs nothing and guesses nothing. What it
/// leaves out, and what makes results doubtful, stands in the trace's warnings.
///
/// Traces are immutable once built and may be read by any thread.
@NullMarked
package dev.prestage.simulator.trace;

import org.jspecify.annotations.NullMarked;
