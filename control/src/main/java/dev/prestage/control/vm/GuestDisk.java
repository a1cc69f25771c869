package dev.prestage.control.vm;

/// A disk in a guest's definition.
///
/// @param target what the guest calls it, such as `vda`
/// @param format `raw`, `qcow2` and so on
/// @param source its file, or empty if it is none
/// @param readOnly whether the guest may not write to it
public record GuestDisk(String target, String format, String source, boolean readOnly) {}
