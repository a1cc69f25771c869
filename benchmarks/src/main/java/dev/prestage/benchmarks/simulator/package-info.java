/// The simulator held against numbers that others published for the same traces and protocol.
///
/// Runs on the caller's thread, and rows on as many as there are processors. It reads the traces in
/// the folder it is given and nothing else.
@NullMarked
package dev.prestage.benchmarks.simulator;

import org.jspecify.annotations.NullMarked;
