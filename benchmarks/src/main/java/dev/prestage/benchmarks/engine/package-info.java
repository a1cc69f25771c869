/// What deciding costs: the engine alone, without a host, on a simulated clock.
@NullMarked
package dev.prestage.benchmarks.engine;

import org.jspecify.annotations.NullMarked;
