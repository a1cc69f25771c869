/// Time as an interface, so that a whole run replays under a simulated clock.
@NullMarked
package dev.prestage.engine.time;

import org.jspecify.annotations.NullMarked;
