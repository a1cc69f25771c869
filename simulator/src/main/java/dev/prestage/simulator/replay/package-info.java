/// Traces replayed against policies on a simulated host: in open loop, where requests come whatever
/// happens, and in closed loop, where a program waits for what is not there.
///
/// A replay is confined to one thread and touches nothing but its own state, so several may run
/// side by side.
@NullMarked
package dev.prestage.simulator.replay;

import org.jspecify.annotations.NullMarked;
