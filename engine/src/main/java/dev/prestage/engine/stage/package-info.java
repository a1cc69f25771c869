/// Executes plans against a [dev.prestage.engine.stage.Stager], and says what became ready and what
/// could not be had.
///
/// Ports and their events only: called on the engine thread, they return at once. Owns nothing; a
/// stager that cannot be reached drops what it is told, and says what it holds when it is back.
@NullMarked
package dev.prestage.engine.stage;

import org.jspecify.annotations.NullMarked;
