/// Prestage's processes: the supervisor, and the object graph of each plane, wired by hand.
///
/// The supervisor owns both processes, with a thread that watches each and starts it again; a plane
/// owns its lock on the state folder and ends when its standard input does. A plane that says that
/// it cannot start is not started again.
@NullMarked
package dev.prestage.cli.process;

import org.jspecify.annotations.NullMarked;
