/// Prestage's processes: the supervisor, and the object graph of each plane, wired by hand.
@NullMarked
package dev.prestage.cli.process;

import org.jspecify.annotations.NullMarked;
