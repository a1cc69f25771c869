/// The `prestage` command: what it can be asked, and the wiring of each of its processes.
///
/// The only module that knows all others. Nothing here decides anything about a guest.
@NullMarked
package dev.prestage.cli;

import org.jspecify.annotations.NullMarked;
