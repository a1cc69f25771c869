/// The demo and its gate: recorded boots of a real VM, replayed against the real processes, with and without prediction.
@NullMarked
package dev.prestage.benchmarks.demo;

import org.jspecify.annotations.NullMarked;
