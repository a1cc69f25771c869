/// The port of the time-series database: every access goes in, off the demand path, and can be
/// asked for again.
///
/// One thread appends, any asks. What implements it owns the stored data; nothing in the engine
/// waits for it, and forecasting does not depend on it.
@NullMarked
package dev.prestage.engine.history;

import org.jspecify.annotations.NullMarked;
