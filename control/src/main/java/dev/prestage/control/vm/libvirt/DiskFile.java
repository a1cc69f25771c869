package dev.prestage.control.vm.libvirt;

/// A file that a domain uses as a disk, or that one of its disks rests on.
///
/// @param disk what the guest calls the disk, such as `vda`
/// @param written whether the domain may write to it
/// @param isRaw whether it rests on no other file, whatever its bytes look like
record DiskFile(String disk, String path, boolean written, boolean isRaw) {}
