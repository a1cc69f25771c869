/// Time as an interface, so that a whole run replays under a simulated clock.
///
/// A clock may be asked by any thread. Nothing here waits or schedules.
@NullMarked
package dev.prestage.engine.time;

import org.jspecify.annotations.NullMarked;
