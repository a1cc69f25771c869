/// Restores of a VM's memory: pages that come when they are touched, and pages that Prestage has
/// there before.
///
/// [dev.prestage.benchmarks.memory.MemoryDemo] runs the modes side by side, with the real processes
/// and a VM manager in C that plays Firecracker and its guest; that one checks every byte that it
/// reads. Single-threaded. Owns its folder and its processes.
@NullMarked
package dev.prestage.benchmarks.memory;

import org.jspecify.annotations.NullMarked;
