package dev.prestage.control.vm;

/// What is written down of a VM in the guest's own description: its program, and the disk that is
/// read from here.
///
/// @param vm the name under which the guest is registered, and its export
/// @param program what it runs
/// @param image the image's file name at the origin; empty if no disk is read from here
/// @param disk what the guest calls the disk, such as `vda`
public record Attachment(String vm, String program, String image, String disk) {}
