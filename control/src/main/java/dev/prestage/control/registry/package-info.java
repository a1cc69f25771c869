/// What VM managers registered, kept in one file that survives a restart.
///
/// Owned by the engine thread; [dev.prestage.control.registry.Registry#save] writes the file before
/// a registration is confirmed.
@NullMarked
package dev.prestage.control.registry;

import org.jspecify.annotations.NullMarked;
