/// The engine: one step from what a guest touched to what this host should have ready.
///
/// [dev.prestage.engine.Engine] ties the packages below it together. Data flows left to right
/// through `resource`, `access`, `history`, `predict`, `allocate` and `stage`; each uses only those
/// to its left, plus the leaves `time` and `fault`. Nothing here knows a host, a socket, a database
/// or the wall clock, so the whole runs under a simulated clock.
///
/// Threading: everything is confined to one thread, the engine thread, unless a type says
/// otherwise.
@NullMarked
package dev.prestage.engine;

import org.jspecify.annotations.NullMarked;
