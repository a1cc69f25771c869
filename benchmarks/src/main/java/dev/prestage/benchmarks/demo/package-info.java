/// The demo and its gate: recorded boots of a real VM, replayed against the real processes, with
/// and without prediction.
///
/// Owns the folder that it makes for each host and the processes that it starts there, and ends
/// both. One thread per boot that is replayed. Measures side by side in one run and stores no
/// number to compare with later.
@NullMarked
package dev.prestage.benchmarks.demo;

import org.jspecify.annotations.NullMarked;
