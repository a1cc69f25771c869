package dev.prestage.control.vm;

import java.nio.file.Path;

/// A disk to be read from here, and where the guest's writes go.
///
/// @param attachment what is written down about it
/// @param socket where it is served
/// @param overlay the qcow2 file that takes the guest's writes
public record ServedDisk(Attachment attachment, Path socket, Path overlay) {}
