/// Faults as configuration: how slow, how narrow and how unreliable a decorated origin is.
///
/// The decorators themselves live where the I/O is; this leaf only says what they do, from a seed.
/// Immutable values; without faults no decorator is put in.
@NullMarked
package dev.prestage.engine.fault;

import org.jspecify.annotations.NullMarked;
