/// Recorded accesses and the formats they come in. A format knows neither policies nor reports.
///
/// Traces are immutable once built and may be read by any thread.
@NullMarked
package dev.prestage.simulator.trace;

import org.jspecify.annotations.NullMarked;
