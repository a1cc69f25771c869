/// What VM managers registered, kept in a file and its copy that survive a restart.
///
/// Owned by the engine thread; [dev.prestage.control.registry.Registry#save] writes the file before
/// a registration is confirmed. Numbers that were given away are never given again. A damaged file
/// is put aside, its copy is read, and where there is none either nobody loses a disk.
@NullMarked
package dev.prestage.control.registry;

import org.jspecify.annotations.NullMarked;
