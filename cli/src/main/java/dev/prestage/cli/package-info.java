/// The `prestage` command: what it can be asked, and the wiring of each of its processes.
@NullMarked
package dev.prestage.cli;

import org.jspecify.annotations.NullMarked;
