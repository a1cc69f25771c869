package dev.prestage.control.vm;

import java.nio.file.Path;

/// A disk to be read from here, and where the guest's writes go.
///
/// @param attachment what is written down about it
/// @param image the raw image that is served; nobody may write to it while the disk is attached
/// @param socket where it is served
/// @param overlay the qcow2 file that takes the guest's writes
public record ServedDisk(Attachment attachment, Path image, Path socket, Path overlay) {}
