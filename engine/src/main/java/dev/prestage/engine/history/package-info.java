/// The port of the time-series database: every access goes in, off the demand path, and can be
/// asked for again.
@NullMarked
package dev.prestage.engine.history;

import org.jspecify.annotations.NullMarked;
