package dev.prestage.control.vm;

/// A guest's disk that is read from here, as it is written down in the guest's own description.
///
/// @param vm the name under which the guest is registered, and its export
/// @param program what it runs
/// @param image the image's file name at the origin
/// @param disk what the guest calls the disk, such as `vda`
public record Attachment(String vm, String program, String image, String disk) {}
