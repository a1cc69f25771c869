/// Executes plans against a [dev.prestage.engine.stage.Stager], and says what became ready and what
/// could not be had.
@NullMarked
package dev.prestage.engine.stage;

import org.jspecify.annotations.NullMarked;
