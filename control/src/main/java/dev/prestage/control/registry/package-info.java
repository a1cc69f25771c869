/// What VM managers registered, kept in one file that survives a restart.
///
/// Owned by the engine thread; [dev.prestage.control.registry.Registry#save] writes the file before
/// a registration is confirmed. Numbers that were given away are never given again. Refuses to
/// start on a file that it cannot read, because starting without would forget every VM.
@NullMarked
package dev.prestage.control.registry;

import org.jspecify.annotations.NullMarked;
